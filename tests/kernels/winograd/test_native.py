"""Winograd's convolution in C and its gradients against float64, and the module that uses it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

from rescli.kernels.c_compiler import NoCompiler, compile_native
from rescli.kernels.conv import module
from rescli.kernels.conv.module import Conv2dWinograd
from rescli.kernels.winograd.native import (
    convolve_winograd,
    input_gradient_winograd,
    load_winograd,
    pays_off_winograd,
    weight_gradient_winograd,
)

try:
    load_winograd()
except NoCompiler as error:
    pytest.skip(str(error), allow_module_level=True)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of what the compiled convolution was asked for."""
    asked: list[tuple[int, ...]] = []

    def counting(x: Tensor, weight: Tensor) -> Tensor:
        asked.append(tuple(x.shape))
        return convolve_winograd(x, weight)

    monkeypatch.setattr(module, "convolve_winograd", counting)
    return asked


def draw(*shape: int, seed: int = 0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.contiguous(memory_format=torch.channels_last)


def given(shape: tuple[int, int, int, int], channels_out: int) -> tuple[Tensor, Tensor, Tensor]:
    """x, the weight and dy, as large as they are in a net that is initialised as He et al. (2015) do."""
    images, channels, height, width = shape
    weight = draw(channels_out, channels, 3, 3, seed=1) * (2 / (9 * channels)) ** 0.5
    return draw(*shape).relu(), weight, draw(images, channels_out, height, width, seed=2)


def all_three(x: Tensor, weight: Tensor, dy: Tensor) -> dict[str, Tensor]:
    return {
        "output": convolve_winograd(x, weight),
        "input's gradient": input_gradient_winograd(dy, weight),
        "weight's gradient": weight_gradient_winograd(x, dy),
    }


def by_torch(x: Tensor, weight: Tensor, dy: Tensor) -> dict[str, Tensor]:
    return {
        "output": torch.conv2d(x, weight, padding=1),
        "input's gradient": conv2d_input(x.shape, weight, dy, 1, 1),  # type: ignore[no-untyped-call]
        "weight's gradient": conv2d_weight(x, weight.shape, dy, 1, 1),  # type: ignore[no-untyped-call]
    }


@pytest.mark.parametrize(
    ("shape", "channels_out"),
    [
        ((16, 16, 32, 32), 16),
        ((16, 32, 16, 16), 32),
        ((16, 64, 8, 8), 64),
        ((8, 64, 28, 28), 128),
        ((2, 256, 7, 7), 256),
    ],
)
def test_not_four_times_as_far_from_float64_as_torch(
    shape: tuple[int, int, int, int], channels_out: int
) -> None:
    x, weight, dy = given(shape, channels_out)
    exact = by_torch(x.double(), weight.double(), dy.double())
    off = {name: error(found, exact[name]) for name, found in all_three(x, weight, dy).items()}
    off_torch = {name: error(found, exact[name]) for name, found in by_torch(x, weight, dy).items()}
    assert {name: off[name] / off_torch[name] for name in off if off[name] > 4 * off_torch[name]} == {}


def error(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).pow(2).mean().sqrt())


@pytest.mark.parametrize(
    ("shape", "channels_out"),
    [
        ((1, 16, 1, 1), 16),
        ((2, 16, 2, 1), 32),
        ((2, 48, 1, 5), 16),
        ((5, 32, 7, 9), 64),
        ((33, 16, 6, 5), 16),  # groups of 3 images
        ((2, 64, 9, 14), 128),
        ((25, 16, 4, 4), 16),  # one tile more than a group
        ((3, 16, 13, 3), 48),
    ],
)
def test_equals_float64_at_any_size(shape: tuple[int, int, int, int], channels_out: int) -> None:
    x, weight, dy = given(shape, channels_out)
    exact = by_torch(x.double(), weight.double(), dy.double())
    for name, found in all_three(x, weight, dy).items():
        assert found.dtype is torch.float32
        assert found.is_contiguous(memory_format=torch.channels_last)
        near = 5e-6 * float(exact[name].abs().max())
        torch.testing.assert_close(found.double(), exact[name], rtol=0, atol=near, msg=name)


@pytest.mark.usefixtures("threads")
def test_the_same_bits_on_any_number_of_threads() -> None:
    x, weight, dy = given((37, 32, 9, 9), 16)
    found = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        found.append(all_three(x, weight, dy))
    for name, one in found[0].items():
        assert one.equal(found[1][name])
        assert one.equal(found[2][name])


def test_the_same_bits_with_vectors_of_8_and_of_16(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, dy = given((37, 32, 9, 9), 16)
    expected = all_three(x, weight, dy)
    monkeypatch.setenv("CC", "cc -mno-avx512f")
    cached = (compile_native, load_winograd)
    for function in cached:
        function.cache_clear()
    try:
        found = all_three(x, weight, dy)
    finally:
        for function in cached:
            function.cache_clear()
    assert all(found[name].equal(expected[name]) for name in expected)


def test_weights_in_any_layout() -> None:
    x, weight, dy = given((2, 16, 8, 8), 32)
    expected = all_three(x, weight, dy)
    for other in (weight.contiguous(), weight.transpose(2, 3).contiguous().transpose(2, 3)):
        assert other.stride() != weight.stride()
        found = all_three(x, other, dy)
        assert all(found[name].equal(expected[name]) for name in expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_stays_none(value: float) -> None:
    x, weight, dy = given((2, 16, 8, 8), 16)
    x[1, 3, 2, 2] = value
    y, dw = convolve_winograd(x, weight), weight_gradient_winograd(x, dy)
    assert not y[1, :, 1:4, 1:4].isfinite().any()
    assert y[0].isfinite().all()
    assert not dw[:, 3].isfinite().any()
    assert dw[:, [0, 1, 2, 4, 15]].isfinite().all()


def winograd(conv: nn.Conv2d) -> nn.Conv2d:
    conv = conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    conv.__class__ = Conv2dWinograd
    return conv


def gradients(conv: nn.Conv2d, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x = x.detach().requires_grad_()
    y = conv(x)
    dx, dw = torch.autograd.grad(y, [x, conv.weight], dy)
    return y.detach(), dx, dw


def test_the_module_is_near_the_plain_one(calls: list[tuple[int, ...]]) -> None:
    plain = nn.Conv2d(16, 32, 3, padding=1, bias=False)
    own = winograd(copy.deepcopy(plain))
    x, _, dy = given((3, 16, 12, 12), 32)
    for right, found in zip(gradients(plain, x, dy), gradients(own, x, dy), strict=True):
        torch.testing.assert_close(found, right, rtol=0, atol=3e-6 * float(right.abs().max()))
    assert len(calls) == 1


def test_a_gradient_in_any_layout() -> None:
    conv = winograd(nn.Conv2d(16, 16, 3, padding=1, bias=False))
    x, _, dy = given((2, 16, 8, 8), 16)
    expected = gradients(conv, x, dy)
    for one, other in zip(expected, gradients(conv, x, dy.contiguous()), strict=True):
        assert one.equal(other)
    ones = torch.ones(1).expand(2, 16, 8, 8)
    for one, other in zip(gradients(conv, x, ones), gradients(conv, x, ones.clone()), strict=True):
        assert one.equal(other)


def test_what_follows_may_work_in_place() -> None:
    """As a hook may, and as a block does whose normalisation was taken out."""
    conv = winograd(nn.Conv2d(16, 16, 3, padding=1, bias=False))
    x, _, dy = given((2, 16, 8, 8), 16)
    expected = torch.autograd.grad(conv(x).relu(), conv.weight, dy)[0]
    assert torch.autograd.grad(conv(x).relu_(), conv.weight, dy)[0].equal(expected)


def test_a_weight_whose_signs_are_flipped_when_it_is_read() -> None:
    x, weight, dy = given((2, 16, 8, 8), 16)
    weight.requires_grad_()
    flipped = torch._neg_view(weight)
    y, right = convolve_winograd(x, flipped), convolve_winograd(x, -weight)
    assert y.equal(right)
    assert torch.autograd.grad(y, weight, dy)[0].equal(torch.autograd.grad(right, weight, dy)[0])
    assert input_gradient_winograd(dy, flipped).equal(input_gradient_winograd(dy, -weight))


@pytest.mark.parametrize(
    "options",
    [
        {"in_channels": 24},
        {"stride": 2},
        {"kernel_size": 1, "padding": 0},
        {"bias": True},
        {"padding": 0},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"padding_mode": "reflect"},
        {"dtype": torch.float64},
    ],
)
def test_what_does_not_fit_is_torch_s(options: dict[str, object], calls: list[tuple[int, ...]]) -> None:
    whole = {"in_channels": 16, "out_channels": 16, "kernel_size": 3, "padding": 1, "bias": False} | options
    plain = nn.Conv2d(**whole)  # type: ignore[arg-type]
    own = winograd(copy.deepcopy(plain))
    x = draw(2, plain.in_channels, 12, 12).to(plain.weight.dtype)
    assert own(x).equal(plain.to(memory_format=torch.channels_last)(x))  # type: ignore[call-overload]
    assert calls == []


def test_evaluation_and_bf16_are_torch_s(calls: list[tuple[int, ...]]) -> None:
    own = winograd(nn.Conv2d(16, 16, 3, padding=1, bias=False))
    x, _, _ = given((2, 16, 8, 8), 16)
    with torch.no_grad():
        own(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        own(x)
        own(x.bfloat16())
    own(x.contiguous().to(memory_format=torch.contiguous_format))
    assert calls == []
    own(x)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("shape", "channels_out", "pays"),
    [
        ((1, 16, 32, 32), 16, True),
        ((1, 512, 7, 7), 512, True),
        ((1, 16, 32, 32), 24, False),
        ((1, 1024, 7, 7), 512, False),
        ((1, 16, 6, 6), 16, False),  # direct sums have few terms there
        ((1, 16, 9, 9), 16, False),  # 9 tiles of 16 pixels for 81
    ],
)
def test_where_it_pays(shape: tuple[int, int, int, int], channels_out: int, pays: bool) -> None:
    assert pays_off_winograd(torch.empty(shape), channels_out) is pays


def test_more_channels_than_the_weight_s_gradient_takes() -> None:
    conv = winograd(nn.Conv2d(16, 272, 3, padding=1, bias=False))
    x, _, dy = given((1, 16, 8, 8), 272)
    _, _, dw = gradients(conv, x, dy)
    right = conv2d_weight(x, conv.weight.shape, dy, 1, 1)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(dw, right)


def test_no_second_derivative_in_silence() -> None:
    conv = winograd(nn.Conv2d(16, 16, 3, padding=1, bias=False))
    x = draw(1, 16, 8, 8).requires_grad_()
    (dx,) = torch.autograd.grad(conv(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dx.sum().backward()  # type: ignore[no-untyped-call]
