"""The compiled gradient of a convolution's weight against float64, and the module that uses it."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rescli.kernels.c_compiler import NoCompiler, compile_native
from rescli.kernels.choice import self_test, use_kernels
from rescli.kernels.conv import choice
from rescli.kernels.conv import native as conv_native
from rescli.kernels.conv.choice import Convolutions, choose_convolutions
from rescli.kernels.conv.module import Conv2dNative, Conv2dWinograd
from rescli.kernels.conv.native import load_conv_native, weight_gradient_native
from rescli.models.resnet import cifar_resnet

try:
    load_conv_native()
except NoCompiler as error:
    pytest.skip(str(error), allow_module_level=True)

BF16 = torch.bfloat16


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of what the compiled gradient was asked for."""
    asked: list[tuple[int, ...]] = []

    def counting(x: Tensor, dy: Tensor, *, stride: int) -> Tensor:
        asked.append(tuple(x.shape))
        return weight_gradient_native(x, dy, stride=stride)

    monkeypatch.setattr(conv_native, "weight_gradient_native", counting)
    return asked


def draw(*shape: int, seed: int = 0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.to(BF16).contiguous(memory_format=torch.channels_last)


def maps(shape: tuple[int, int, int, int], channels_out: int, stride: int) -> tuple[Tensor, Tensor]:
    images, _, height, width = shape
    out = images, channels_out, -(-height // stride), -(-width // stride)
    return draw(*shape), draw(*out, seed=1)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("shape", "channels_out"),
    [
        ((3, 16, 8, 8), 16),
        ((1, 16, 1, 1), 16),
        ((2, 16, 2, 1), 32),
        ((2, 48, 1, 5), 16),
        ((5, 32, 7, 9), 64),
        ((33, 16, 6, 5), 16),  # groups of 3 images
        ((2, 64, 9, 14), 128),
    ],
)
def test_equals_float64(shape: tuple[int, int, int, int], channels_out: int, stride: int) -> None:
    x, dy = maps(shape, channels_out, stride)
    size = channels_out, shape[1], 3, 3
    exact = torch.nn.grad.conv2d_weight(x.double(), size, dy.double(), stride, 1)  # type: ignore[attr-defined]
    found = weight_gradient_native(x, dy, stride=stride)
    assert found.dtype is torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-6 * float(exact.abs().max()))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.usefixtures("threads")
def test_the_same_bits_on_any_number_of_threads(stride: int) -> None:
    x, dy = maps((37, 32, 9, 9), 16, stride)
    found = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        found.append(weight_gradient_native(x, dy, stride=stride))
    assert found[0].equal(found[1])
    assert found[0].equal(found[2])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_stays_none(value: float) -> None:
    x, dy = maps((2, 16, 4, 4), 16, 1)
    x[1, 3, 2, 2] = value
    found = weight_gradient_native(x, dy, stride=1)
    assert not found[:, 3].isfinite().any()
    assert found[:, [0, 1, 2, 4, 15]].isfinite().all()


def test_a_gradient_in_any_layout(calls: list[Any]) -> None:
    conv = native(nn.Conv2d(16, 16, 3, padding=1, bias=False))
    x = draw(2, 16, 4, 4)
    expected = gradients(conv, x, draw(2, 16, 4, 4, seed=1))
    found = gradients(conv, x, draw(2, 16, 4, 4, seed=1).contiguous())
    assert all(one.equal(other) for one, other in zip(expected, found, strict=True))
    gradients(conv, x, torch.ones(1, dtype=BF16).expand(2, 16, 4, 4))
    assert len(calls) == 3


def native(conv: nn.Conv2d) -> nn.Conv2d:
    conv = conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    conv.__class__ = Conv2dNative
    return conv


def gradients(conv: nn.Conv2d, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(output, gradient of x, gradient of the weight) under autocast."""
    x = x.detach().requires_grad_()
    with torch.autocast("cpu", dtype=BF16):
        y = conv(x)
    dx, dw = torch.autograd.grad(y, [x, conv.weight], dy.to(y.dtype))
    return y.detach(), dx, dw


@pytest.mark.parametrize("stride", [1, 2])
def test_all_but_the_weight_s_gradient_is_torch_s(stride: int, calls: list[Any]) -> None:
    plain = nn.Conv2d(16, 32, 3, stride=stride, padding=1, bias=False)
    plain = plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    own = native(copy.deepcopy(plain))
    x, dy = maps((8, 16, 12, 12), 32, stride)
    expected, found = gradients(plain, x, dy), gradients(own, x, dy)
    assert found[0].equal(expected[0])
    assert found[1].equal(expected[1])
    assert len(calls) == 1
    exact = torch.nn.grad.conv2d_weight(  # type: ignore[attr-defined]
        x.double(), plain.weight.shape, dy.double(), stride, 1
    )
    off, off_plain = (float((one[2].double() - exact).norm()) for one in (found, expected))
    assert off < 0.01 * off_plain


@pytest.mark.parametrize(
    "options",
    [
        {"in_channels": 24},
        {"out_channels": 24},
        {"kernel_size": 1, "padding": 0},
        {"padding": 0},
        {"padding": "same"},
        {"stride": 3},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"bias": True},
        {"padding_mode": "circular"},
        {"in_channels": 80},
        {"out_channels": 144},
    ],
    ids=str,
)
def test_other_convolutions_are_plain_torch(options: dict[str, Any], calls: list[Any]) -> None:
    given: dict[str, Any] = {"in_channels": 16, "out_channels": 16, "kernel_size": 3, "padding": 1}
    conv = nn.Conv2d(**{**given, "bias": False, **options})
    x = draw(2, conv.in_channels, 6, 6)
    dy = torch.ones_like(conv(x.float())).to(BF16)
    expected = gradients(conv, x, dy)
    found = gradients(native(conv), x, dy)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other)
    assert not calls


def test_other_maps_are_plain_torch(calls: list[Any]) -> None:
    conv = native(nn.Conv2d(16, 16, 3, padding=1, bias=False))
    x, dy = draw(2, 16, 6, 6), draw(2, 16, 6, 6, seed=1)
    gradients(conv, x.contiguous(), dy)
    gradients(conv, x.float(), dy)
    conv(x.float().requires_grad_()).sum().backward()  # no autocast
    with torch.no_grad(), torch.autocast("cpu", dtype=BF16):
        assert not conv(x).requires_grad
    assert not calls
    conv.weight.requires_grad_(False)
    with torch.autocast("cpu", dtype=BF16):
        conv(x.requires_grad_()).sum().backward()
    assert not calls
    with pytest.raises(RuntimeError, match="expected input"), torch.autocast("cpu", dtype=BF16):
        conv(draw(2, 32, 6, 6))


@pytest.mark.parametrize("weight", [(12, 16, 3, 3), (16, 16, 1, 1), (16, 16, 5, 5)], ids=str)
def test_a_weight_that_was_put_in_another_s_place(weight: tuple[int, ...], calls: list[Any]) -> None:
    """As by pruning: the module's attributes still tell of the old one."""
    conv = native(nn.Conv2d(16, 16, 3, padding=1, bias=False))
    conv.weight = nn.Parameter(torch.randn(weight))
    x = draw(2, 16, 6, 6)
    with torch.autocast("cpu", dtype=BF16):
        conv(x.requires_grad_()).sum().backward()
    assert conv.weight.grad is not None
    assert conv.weight.grad.shape == weight
    assert not calls


def test_a_view_of_flipped_signs() -> None:
    x, dy = maps((2, 16, 4, 4), 16, 1)
    expected = weight_gradient_native(-x, dy, stride=1)
    assert weight_gradient_native(torch._neg_view(x), dy, stride=1).equal(expected)


def test_the_first_layer_s_images_want_no_gradient(calls: list[Any]) -> None:
    conv = native(nn.Conv2d(16, 16, 3, padding=1, bias=False))
    with torch.autocast("cpu", dtype=BF16):
        conv(draw(2, 16, 6, 6)).sum().backward()
    assert conv.weight.grad is not None
    assert len(calls) == 1


def convs(net: nn.Module) -> dict[str, type]:
    return {name: type(module) for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}


def test_the_blocks_convolutions_become_native_and_plain_again() -> None:
    net = nn.ModuleDict({"net": cifar_resnet(depth=8, shortcut="B"), "other": nn.Conv2d(16, 16, 3)})
    names = list(net.state_dict())
    use_kernels(net, "native", choose_convolutions(BF16))
    kinds = convs(net)
    assert kinds.pop("other") is nn.Conv2d
    assert set(kinds.values()) == {Conv2dNative}
    assert list(net.state_dict()) == names
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert convs(again) == convs(net)
    use_kernels(net, "native", Convolutions("winograd"))
    assert set(convs(net).values()) == {nn.Conv2d, Conv2dWinograd}
    use_kernels(net, "plain")
    assert set(convs(net).values()) == {nn.Conv2d}


def test_a_processor_without_the_instruction_keeps_torch_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, log = tmp_path / "cc", tmp_path / "log"
    compiler.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec cc "$@" -mno-avx512bf16\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    cached = (compile_native, load_conv_native, choice._why_not)
    for function in cached:
        function.cache_clear()
    try:
        with pytest.raises(NoCompiler, match=r"^the processor has no avx512_bf16$"):
            load_conv_native()
        assert choose_convolutions(BF16) == Convolutions("torch", "the processor has no avx512_bf16")
        assert self_test("native", "cpu") is None
        refused = [line for line in log.read_text().splitlines() if "conv/native.c" in line]
        assert len(refused) == 2  # once here and once for all convolutions
    finally:
        for function in cached:
            function.cache_clear()


def test_self_test_finds_wrong_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(x: Tensor, dy: Tensor, *, stride: int) -> Tensor:
        return weight_gradient_native(x, dy, stride=stride) * 1.01

    monkeypatch.setattr(choice, "weight_gradient_native", wrong)
    reason = self_test("native", "cpu", [BF16])
    assert reason is not None
    assert reason.startswith("a convolution's gradient in bf16 (stride 1) differs from plain torch by ")
    assert self_test("native", "cpu", [torch.float32]) is None
