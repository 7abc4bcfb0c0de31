"""Plain torch's norm_act: the very operations that stood in the blocks before it, bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rescli.kernels.norm.plain import norm_act, zero_padded


def without(bn: nn.Module, y: Tensor, _x: Tensor) -> Tensor:
    return F.relu(bn(y), inplace=True)


def with_identity(bn: nn.Module, y: Tensor, x: Tensor) -> Tensor:
    out = bn(y)
    out += x
    return F.relu(out, inplace=True)


def with_option_a(bn: nn.Module, y: Tensor, x: Tensor) -> Tensor:
    out = bn(y)
    out += F.pad(F.avg_pool2d(x, 1, 2), (0, 0, 0, 0, 0, 4))
    return F.relu(out, inplace=True)


def run(
    function: Callable[[nn.Module, Tensor, Tensor], Tensor], x_shape: tuple[int, ...], **how: bool
) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    bn = nn.BatchNorm2d(10).train(how["training"])
    y = torch.randn(3, 10, 5, 7, generator=random).contiguous(memory_format=torch.channels_last)
    x = torch.randn(x_shape, generator=random).contiguous(memory_format=torch.channels_last)
    dtype = torch.bfloat16 if how["bf16"] else torch.float32
    y, x = y.to(dtype).requires_grad_(), x.to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=how["bf16"]):
        out = function(bn, y, x)
    out.float().square().sum().backward()
    leaves = [x.grad, y.grad, bn.weight.grad, bn.bias.grad]
    return [out.detach(), *bn.buffers(), *(grad for grad in leaves if grad is not None)]


CASES = {
    "none": (without, lambda bn, y, _x: norm_act(bn, y), (3, 10, 5, 7)),
    "same": (with_identity, norm_act, (3, 10, 5, 7)),
    "padded": (with_option_a, lambda bn, y, x: norm_act(bn, y, x, residual_stride=2), (3, 6, 9, 14)),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_lines_it_replaces(case: str, training: bool, bf16: bool) -> None:
    before, now, x_shape = CASES[case]
    expected = run(before, x_shape, training=training, bf16=bf16)
    found = run(now, x_shape, training=training, bf16=bf16)
    assert len(found) == len(expected) == (7 if case == "none" else 8)
    for left, right in zip(found, expected, strict=True):
        assert left.equal(right)
        assert left.stride() == right.stride()


def test_without_relu_is_the_batch_norm() -> None:
    bn, y = nn.BatchNorm2d(4), torch.randn(2, 4, 3, 3)
    assert norm_act(copy.deepcopy(bn), y, relu=False).equal(bn(y))


def test_zero_padded_takes_every_second_pixel_and_adds_channels() -> None:
    x = torch.arange(15.0).view(1, 1, 3, 5)
    assert zero_padded(x, extra_channels=1, stride=2).tolist() == [
        [[[0, 2, 4], [10, 12, 14]], [[0, 0, 0], [0, 0, 0]]]
    ]
