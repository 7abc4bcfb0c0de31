"""How fast a network could train on a device that only multiplies and copies: a bound, not a forecast."""

from __future__ import annotations

from dataclasses import dataclass

from rescli.models.layout import Layout

__all__ = ["Roofline", "roofline"]

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
