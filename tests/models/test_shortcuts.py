"""The three options of section 3.3."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from rescli.models.shortcuts import ProjectionShortcut, ZeroPadShortcut, make_shortcut


@pytest.mark.parametrize(
    ("channels", "out_channels", "stride", "size"),
    [(2, 4, 2, 6), (3, 7, 2, 5), (2, 8, 1, 4), (4, 4, 3, 7)],
)
def test_option_a_against_loops(channels: int, out_channels: int, stride: int, size: int) -> None:
    x = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))
    shortcut = ZeroPadShortcut(in_channels=channels, out_channels=out_channels, stride=stride)
    out = shortcut(x)
    side = (size + stride - 1) // stride
    assert out.shape == (2, out_channels, side, side)
    for n in range(2):
        for c in range(out_channels):
            for i in range(side):
                for j in range(side):
                    expected = x[n, c, i * stride, j * stride].item() if c < channels else 0.0
                    assert out[n, c, i, j].item() == expected
    assert list(shortcut.parameters()) == []
    assert shortcut.state_dict() == {}


def test_option_a_keeps_channels_last() -> None:
    x = torch.randn(2, 16, 8, 8).to(memory_format=torch.channels_last)
    out = ZeroPadShortcut(in_channels=16, out_channels=32, stride=2)(x)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_option_a_gradient_reaches_the_kept_pixels_alone() -> None:
    x = torch.ones(1, 1, 3, 3, requires_grad=True)
    ZeroPadShortcut(in_channels=1, out_channels=2, stride=2)(x).sum().backward()
    assert x.grad is not None
    assert x.grad[0, 0].tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 1]]


IDENTITY, PADDING, PROJECTION = nn.Identity, ZeroPadShortcut, ProjectionShortcut


@pytest.mark.parametrize(
    ("option", "same", "more_channels", "strided"),
    [
        ("A", IDENTITY, PADDING, PADDING),
        ("B", IDENTITY, PROJECTION, PROJECTION),
        ("C", PROJECTION, PROJECTION, PROJECTION),
        (None, type(None), type(None), type(None)),
    ],
)
def test_option_table(option: Any, same: type, more_channels: type, strided: type) -> None:
    assert type(make_shortcut(option, 8, 8, 1)) is same
    assert type(make_shortcut(option, 8, 16, 1)) is more_channels
    assert type(make_shortcut(option, 8, 8, 2)) is strided


def test_projection_is_a_1x1_convolution_and_batch_norm() -> None:
    projection = make_shortcut("B", 8, 16, 2)
    assert projection is not None
    assert {name: tuple(p.shape) for name, p in projection.named_parameters()} == {
        "0.weight": (16, 8, 1, 1),
        "1.weight": (16,),
        "1.bias": (16,),
    }
    assert projection(torch.randn(2, 8, 7, 7)).shape == (2, 16, 4, 4)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="unknown shortcut 'D'"):
        make_shortcut("D", 8, 8, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="only adds channels: 8 in, 4 out"):
        make_shortcut("A", 8, 4, 1)
