from __future__ import annotations

import pytest

from rescli.bench.roofline import roofline
from rescli.models.layout import resnet_layout

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
