"""From uint8 photographs to what the network sees, as a graph that equals Pillow to the bit.

Pillow's bilinear filter (the one that ``rescli eval`` uses) is a triangle as wide as the reduction, in fixed
point: weights of 22 bits, the sum rounded to a level after the horizontal and again after the vertical pass.
Here each pass is two products of matrices in float32, one for the upper and one for the lower bits of the
weights: every partial sum is an integer below 2**24, and float32 holds those exactly.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rescli.data.normalization import Normalization

__all__ = ["CropCenter", "Normalize", "ResizeShorterSide", "largest_side", "preprocessing"]

_BITS = 22
_LOW_BITS = 11
_LOW = 2**_LOW_BITS

_LARGEST_REDUCTION = 32
"""Reduced so far, a pixel has 64 weights, the most whose partial sums float32 holds."""


class Normalize(nn.Module):
    """uint8 or float levels (N, H, W, 3) -> float32 (N, 3, H, W), as ``Normalization.apply``."""

    mean_HWC: Tensor
    std_C: Tensor | None

    def __init__(self, normalization: Normalization) -> None:
        super().__init__()
        self.register_buffer("mean_HWC", normalization.mean_CHW.permute(1, 2, 0).contiguous())
        self.register_buffer("std_C", normalization.std_C)

    def forward(self, images_NHWC: Tensor) -> Tensor:
        x = images_NHWC.float() / 255 - self.mean_HWC
        if self.std_C is not None:
            x = x / self.std_C
        return x.permute(0, 3, 1, 2)


class ResizeShorterSide(nn.Module):
    """uint8 (N, H, W, 3) -> float levels (N, h, w, 3) with min(h, w) = ``side``; the longer rounded down."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images_NHWC: Tensor) -> Tensor:
        height, width = images_NHWC.shape[1], images_NHWC.shape[2]
        # One of the two quotients is the side or less: no branch, which a graph could not hold.
        new_height = torch.sym_max(self.side, self.side * height // width)
        new_width = torch.sym_max(self.side, self.side * width // height)
        x = images_NHWC.permute(0, 3, 1, 2).float()
        x = _resample(x, *_weights(width, new_width))
        x = _resample(x.transpose(2, 3), *_weights(height, new_height)).transpose(2, 3)
        return x.permute(0, 2, 3, 1)


class CropCenter(nn.Module):
    """(N, h, w, 3) -> (N, size, size, 3); half pixels to the even side, as torchvision's."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images_NHWC: Tensor) -> Tensor:
        top = _half_to_even(images_NHWC.shape[1] - self.size)
        left = _half_to_even(images_NHWC.shape[2] - self.size)
        return images_NHWC.narrow(1, top, self.size).narrow(2, left, self.size)


def largest_side(shorter_side: int) -> int:
    """The largest side of an image, in pixels, whose reduction is Pillow's to the bit: 8192 for 256."""
    return _LARGEST_REDUCTION * shorter_side


def preprocessing(normalization: Normalization, *, shorter_side: int | None, crop: int | None) -> nn.Module:
    """uint8 (N, H, W, 3) -> normalised float32 (N, 3, h, w)."""
    steps: list[nn.Module] = []
    if shorter_side is not None:
        steps.append(ResizeShorterSide(shorter_side))
    if crop is not None:
        steps.append(CropCenter(crop))
    return nn.Sequential(*steps, Normalize(normalization))


def _weights(size: Any, new_size: Any) -> tuple[Tensor, Tensor]:
    """Pillow's triangle, (size, new_size) each: upper and lower bits of the 22 of each weight, as floats."""
    scale = torch.ones((), dtype=torch.float64) * size / new_size
    reach = scale.clamp(min=1.0)
    place = (torch.arange(new_size, dtype=torch.float64) + 0.5) * scale
    first = (place - reach + 0.5).trunc().clamp(min=0)
    beyond = (place + reach + 0.5).trunc().clamp(max=size)
    pixel = torch.arange(size, dtype=torch.float64)[:, None]
    weights = (1 - ((pixel - place + 0.5) / reach).abs()).clamp(min=0)
    weights = weights * ((pixel >= first) & (pixel < beyond))
    fixed = (weights / weights.sum(0) * 2**_BITS + 0.5).floor()
    high = (fixed / _LOW + 0.5).floor()
    return high.float(), (fixed - high * _LOW).float()


def _resample(x: Tensor, high: Tensor, low: Tensor) -> Tensor:
    """Levels (N, C, H, W) @ (W, w) -> levels (N, C, H, w), rounded half up in fixed point."""
    carried = ((x @ low + 2 ** (_BITS - 1)) / _LOW).floor()
    levels: Tensor = ((x @ high + carried) / 2 ** (_BITS - _LOW_BITS)).floor().clamp(0, 255)
    return levels


def _half_to_even(margin: Any) -> Any:
    """``round(margin / 2)`` of an integer that may be a symbol."""
    return (margin + margin // 2 % 2) // 2
