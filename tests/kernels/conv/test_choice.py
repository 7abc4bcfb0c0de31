"""Which convolutions a training step gets, and what the record is told of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rescli.kernels.choice import self_test
from rescli.kernels.conv import choice
from rescli.kernels.conv.choice import Convolutions, choose_convolutions, compare_convolutions

FP32, BF16 = torch.float32, torch.bfloat16
NAMES = ("forward", "input_gradient", "weight_gradient")


@pytest.fixture
def all_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_why_not", lambda _: None)


@pytest.mark.usefixtures("all_work")
@pytest.mark.parametrize(
    ("dtype", "repeat", "expected"),
    [
        (FP32, None, ("winograd", "winograd", "winograd")),
        (FP32, "winograd", ("winograd", "winograd", "winograd")),
        (FP32, "torch", ("torch", "torch", "torch")),
        (FP32, "native", ("torch", "torch", "torch")),  # what states of before are read as
        (BF16, None, ("torch", "torch", "native")),
        (BF16, "native", ("torch", "torch", "native")),
        (BF16, "torch", ("torch", "torch", "torch")),
    ],
)
def test_the_fastest_or_those_of_the_run(
    dtype: torch.dtype, repeat: str | None, expected: tuple[str, ...]
) -> None:
    chosen = choose_convolutions(dtype, repeat)
    assert tuple(getattr(chosen, name) for name in NAMES) == expected
    began = chosen.name == "torch"
    assert (chosen.why_torch == "the run began with them") == began
    assert chosen.why_torch


def test_why_they_are_torch_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_why_not", lambda name: f"no {name} here")
    assert choose_convolutions(FP32) == Convolutions("torch", "no winograd here")
    assert choose_convolutions(BF16) == Convolutions("torch", "no native here")
    assert compare_convolutions([FP32, BF16], 1e-4) is None


@pytest.mark.parametrize("name", ["convolve_winograd", "input_gradient_winograd", "weight_gradient_winograd"])
def test_the_self_test_finds_wrong_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if choice._why_not("winograd") is not None:
        pytest.skip("no Winograd convolutions here")
    right = getattr(choice, name)

    def wrong(one: Tensor, other: Tensor) -> Tensor:
        found: Tensor = right(one, other)
        found[0, 0, 0, 0] += 1e-2 * found.abs().max()
        return found

    monkeypatch.setattr(choice, name, wrong)
    reason = self_test("native", "cpu", [FP32])
    assert reason is not None
    assert reason.startswith("a convolution")
    assert "in fp32 differs from plain torch by " in reason
