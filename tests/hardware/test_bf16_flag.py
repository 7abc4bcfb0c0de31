"""What a processor says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from rescli.hardware import processor
from rescli.hardware.bf16_flag import claims_bf16


@pytest.mark.parametrize(
    ("cpuinfo", "told", "expected"),
    [
        ("model name : x\nflags\t\t: fpu avx512f avx512_bf16\n", None, True),
        ("flags\t\t: fpu avx2\nflags\t\t: fpu avx2\n", None, False),
        ("Features\t: fp asimd bf16\n", None, True),
        ("flags\t\t: avx512_bf16\n", "AVX2", False),
        ("flags\t\t: avx512_bf16\n", "AVX512_CORE_BF16", True),
        ("", None, False),
    ],
)
def test_its_flags(
    cpuinfo: str, told: str | None, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo)
    monkeypatch.setattr(processor, "_CPUINFO", file)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if told is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", told)
    assert claims_bf16() == expected


def test_where_nobody_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "none")
    assert not claims_bf16()
