"""How fast a network could train on a device that only multiplies and copies: a bound, not a forecast."""

from __future__ import annotations

from dataclasses import dataclass

from rescli.models.layout import Layout

__all__ = ["Roofline", "roofline", "winograd_macs"]

_FLOPS_PER_MAC = 6
"""Two for the forward pass, two for the gradient of the input, two for that of the weights."""

_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}


@dataclass(frozen=True)
class Roofline:
    """Bounds of training, in images per second: by arithmetic, and by memory."""

    by_flops: float
    by_bytes: float

    @property
    def bound(self) -> float:
        return min(self.by_flops, self.by_bytes)


def roofline(layout: Layout, *, precision: str, flops_per_second: float, bytes_per_second: float) -> Roofline:
    """The speed at which a device would train that only multiplies and copies.

    Each convolution's input and output pass through memory three times each: once forward, and once for each
    of its two gradients. That would take batch normalisation, ReLU and the shortcut's addition within the
    convolutions; weights, optimizer and images are left out.
    """
    moved = sum(
        3 * (conv.in_channels * (conv.output_size * conv.stride) ** 2 + conv.activations)
        for conv in layout.convs
    )
    return Roofline(
        by_flops=flops_per_second / (_FLOPS_PER_MAC * layout.macs),
        by_bytes=bytes_per_second / (moved * _BYTES[precision]),
    )


def winograd_macs(layout: Layout, *, tile: int = 4) -> int:
    """Products per image of a forward pass whose 3x3 convolutions with stride 1 are Winograd's F(tile, 3).

    Of each tile of ``tile`` x ``tile`` outputs and each pair of channels it takes (tile + 2)^2 products in
    place of 9 tile^2: 36 instead of 144 for F(4x4, 3x3), 16 instead of 36 for F(2x2, 3x3). A tile at the
    border counts whole. The gradients of the input and of the weights take as many. Only products are
    counted: the additions that transform tiles, weights and results are left out, so a speed by this number
    is a bound that no convolution of this kind can reach.
    """
    macs = layout.macs
    for conv in layout.convs:
        if conv.kernel == 3 and conv.stride == 1:
            tiles = -(-conv.output_size // tile)
            macs += conv.in_channels * conv.out_channels * (tiles * (tile + 2)) ** 2 - conv.macs
    return macs
