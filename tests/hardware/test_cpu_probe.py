from __future__ import annotations

import pytest
import torch

from rescli.hardware import cpu_probe
from rescli.hardware.cpu_probe import bf16_pays_off


@pytest.mark.parametrize(
    ("claimed", "fp32", "bf16", "expected", "tries"),
    [
        (True, [5.0, 2.0, 2.0], [9.0, 1.0, 1.0], True, 6),  # the first had to be compiled
        (False, [2.0, 2.0, 2.0], [1.9, 1.8, 1.7], False, 6),
        (False, [1.0], [9.0], False, 2),
        (True, [2.0] * 12, [*[1.9] * 11, 1.0], True, 24),  # another program met all but the last
        (True, [2.0] * 12, [1.9] * 12, False, 24),  # it is tried, not believed
    ],
)
def test_decides_by_the_fastest_of_each_and_gives_up_where_it_is_emulated(
    monkeypatch: pytest.MonkeyPatch,
    claimed: bool,
    fp32: list[float],
    bf16: list[float],
    expected: bool,
    tries: int,
) -> None:
    left = {torch.float32: list(fp32), torch.bfloat16: list(bf16)}
    asked: list[torch.dtype] = []

    def seconds(dtype: torch.dtype) -> float:
        asked.append(dtype)
        assert torch.get_num_threads() == 1
        return left[dtype].pop(0)

    monkeypatch.setattr(cpu_probe, "_seconds", seconds)
    monkeypatch.setattr(cpu_probe, "claims_bf16", lambda: claimed)
    threads = torch.get_num_threads()
    assert bf16_pays_off.__wrapped__() is expected
    assert len(asked) == tries
    assert torch.get_num_threads() == threads


def test_agrees_with_the_instructions_that_the_cpu_says_it_has() -> None:
    flags = [
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    ]
    if None in flags or not torch.backends.mkldnn.is_available():
        pytest.skip("torch does not say")
    assert bf16_pays_off() == any(flag() for flag in flags if flag is not None)
