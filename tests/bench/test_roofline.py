from __future__ import annotations

from dataclasses import replace

import pytest

from rescli.bench.roofline import roofline, winograd_macs
from rescli.models.layout import ConvLayer, Layout, resnet_layout

LAYOUT = resnet_layout(
    family="cifar",
    depth=20,
    shortcut="A",
    width=16,
    block="basic",
    stride_on="1x1",
    num_classes=10,
    image_size=32,
)


def test_bytes_are_those_of_a_count_by_hand() -> None:
    # Elements of a map: 16 * 32 * 32 = 16384 in the first stage, half of that and a quarter in the others.
    first, second, third = 16384, 8192, 4096
    inputs = 3 * 1024 + 6 * first + (first + 5 * second) + (second + 5 * third)
    outputs = 7 * first + 6 * second + 6 * third
    bounds = roofline(LAYOUT, precision="bf16", flops_per_second=1e30, bytes_per_second=3e12)
    assert bounds.bound == bounds.by_bytes == pytest.approx(3e12 / (2 * 3 * (inputs + outputs)))


def test_the_lower_of_the_two_is_the_bound_and_fp32_takes_twice_the_bytes() -> None:
    bounds = roofline(LAYOUT, precision="fp32", flops_per_second=1e9, bytes_per_second=3e12)
    half = roofline(LAYOUT, precision="fp16", flops_per_second=1e9, bytes_per_second=3e12)
    assert bounds.bound == bounds.by_flops == pytest.approx(1e9 / (6 * LAYOUT.macs))
    assert half.by_bytes == pytest.approx(2 * bounds.by_bytes)


def test_winograds_products_are_those_of_a_count_by_hand() -> None:
    # Direct: both convolutions with stride 2, and the head. The others have 8, 4 and 2 tiles of 4x4 a side.
    direct = 9 * 256 * 16 * 32 + 9 * 64 * 32 * 64 + 640
    pairs = {8: 3 * 16 + 6 * 16 * 16, 4: 5 * 32 * 32, 2: 5 * 64 * 64}
    assert winograd_macs(LAYOUT) == direct + sum(36 * side**2 * count for side, count in pairs.items())
    assert winograd_macs(LAYOUT, tile=2) == direct + sum(
        16 * (2 * side) ** 2 * count for side, count in pairs.items()
    )


def test_a_tile_at_the_border_counts_whole() -> None:
    # Maps of 7x7 pixels have 2x2 tiles of 4x4: 144 products a pair of channels in place of 441.
    layout = resnet_layout(
        family="imagenet", depth=18, shortcut="B", width=64, block="basic", num_classes=1000, image_size=224
    )
    last = [conv for conv in layout.convs if conv.output_size == 7 and conv.kernel == 3 and conv.stride == 1]
    others = resnet_layout(
        family="imagenet", depth=18, shortcut="B", width=64, block="basic", num_classes=1000, image_size=256
    )
    assert len(last) == 3
    saved = sum(conv.macs - 144 * conv.in_channels * conv.out_channels for conv in last)
    assert saved == 3 * (441 - 144) * 512**2
    # At 256 pixels the last maps are 8x8: as many tiles, and so as many products.
    at_224, at_256 = (winograd_macs(each) - _rest(each) for each in (layout, others))
    assert at_224 == at_256 == 3 * 144 * 512**2


def _rest(layout: Layout) -> int:
    """Products of all but the 3x3 convolutions with stride 1 on the last maps."""
    rest = replace(layout, macs=layout.macs, convs=tuple(c for c in layout.convs if not _is_last(layout, c)))
    return winograd_macs(rest) - sum(c.macs for c in layout.convs if _is_last(layout, c))


def _is_last(layout: Layout, conv: ConvLayer) -> bool:
    return (conv.output_size, conv.kernel, conv.stride) == (layout.convs[-1].output_size, 3, 1)


def test_winograd_leaves_kernels_of_one_pixel_and_strides_alone() -> None:
    layout = resnet_layout(
        family="imagenet",
        depth=50,
        shortcut="B",
        width=64,
        block="bottleneck",
        num_classes=10,
        image_size=224,
    )
    kept = replace(layout, convs=tuple(c for c in layout.convs if c.kernel != 3 or c.stride != 1))
    assert winograd_macs(kept) == layout.macs
    assert winograd_macs(layout, tile=4) < winograd_macs(layout, tile=2) < layout.macs
