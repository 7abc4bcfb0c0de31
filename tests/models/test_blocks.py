"""The blocks of figure 5, with and without shortcut."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rescli.models.blocks import BasicBlock, BottleneckBlock
from rescli.models.shortcuts import make_shortcut

BLOCKS: list[type[BasicBlock | BottleneckBlock]] = [BasicBlock, BottleneckBlock]


def _images(channels: int, size: int = 9) -> torch.Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1))


def _zero_branch(block: nn.Module) -> None:
    """Make the residual branch's last batch normalisation, and so the branch, zero."""
    last = max(name for name, _ in block.named_children() if name.startswith("bn"))
    nn.init.zeros_(block.get_submodule(last).weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("block_class", BLOCKS)
@pytest.mark.parametrize("option", ["A", "B", "C"])
@pytest.mark.parametrize(("in_channels", "stride"), [(16, 1), (8, 2)])
def test_with_zero_branch_the_block_is_its_shortcut(
    block_class: type[BasicBlock | BottleneckBlock], option: str, in_channels: int, stride: int
) -> None:
    shortcut = make_shortcut(option, in_channels, 16, stride)  # type: ignore[arg-type]
    assert shortcut is not None
    block = block_class(in_channels, 16, stride, shortcut).eval()
    _zero_branch(block)
    x = _images(in_channels)
    torch.testing.assert_close(block(x), F.relu(shortcut(x)), rtol=0, atol=0)


@pytest.mark.parametrize("block_class", BLOCKS)
def test_with_zero_branch_a_plain_block_is_zero(block_class: type[BasicBlock | BottleneckBlock]) -> None:
    block = block_class(16, 16)
    _zero_branch(block)
    assert block(_images(16)).abs().max() == 0


@pytest.mark.parametrize("block_class", BLOCKS)
def test_residual_block_before_relu_is_plain_branch_plus_shortcut(
    block_class: type[BasicBlock | BottleneckBlock],
) -> None:
    residual = block_class(16, 16, 1, nn.Identity())
    branch: dict[str, torch.Tensor] = {}
    last = max(name for name, _ in residual.named_children() if name.startswith("bn"))
    residual.get_submodule(last).register_forward_hook(lambda *args: branch.update(out=args[2].clone()))
    x = _images(16)
    torch.testing.assert_close(residual(x), F.relu(branch["out"] + x))

    plain = block_class(16, 16)
    plain.load_state_dict(residual.state_dict())
    torch.testing.assert_close(plain.train()(x), F.relu(branch["out"]))


def test_input_is_not_changed_in_place() -> None:
    x = _images(16)
    before = x.clone()
    for block_class in BLOCKS:
        block_class(16, 16, 1, nn.Identity())(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize(("stride_on", "strides"), [("1x1", (2, 1, 1)), ("3x3", (1, 2, 1))])
def test_bottleneck_puts_the_stride_where_told(stride_on: str, strides: tuple[int, ...]) -> None:
    block = BottleneckBlock(16, 32, 2, stride_on=stride_on)
    assert tuple(conv.stride[0] for conv in (block.conv1, block.conv2, block.conv3)) == strides
    assert block(_images(16)).shape == (2, 32, 5, 5)


def test_no_convolution_has_a_bias() -> None:
    for block_class in BLOCKS:
        convs = [m for m in block_class(16, 16).modules() if isinstance(m, nn.Conv2d)]
        assert len(convs) == len(list(block_class(16, 16).children())) // 2
        assert all(conv.bias is None for conv in convs)


def test_gradients_equal_those_without_in_place_operations() -> None:
    block = BasicBlock(2, 2, 1, nn.Identity()).double()
    x = _images(2, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(block, (x,), nondet_tol=0)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="multiple of 4, not 18"):
        BottleneckBlock(16, 18)
    with pytest.raises(ValueError, match="unknown stride_on '2x2'"):
        BottleneckBlock(16, 16, stride_on="2x2")
