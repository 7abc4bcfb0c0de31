"""What one call of ``norm_act`` works on, as fused kernels want to know it, and what they all require."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["NormShape", "takes_maps", "takes_norm"]


@dataclass(frozen=True)
class NormShape:
    """Rows (pixels) and channels of the map, and how a residual is added to it.

    Args:
        kind: ``none``; ``same``, of the map's shape; or ``padded``, of which every ``stride``-th pixel
            is added to the first ``residual_channels`` channels.
    """

    images: int
    channels: int
    size: tuple[int, int]
    kind: Literal["none", "same", "padded"]
    residual_size: tuple[int, int]
    residual_channels: int
    stride: int

    @classmethod
    def of(cls, y: torch.Size, residual: torch.Size | None, stride: int) -> NormShape:
        """The form of a call, from the shapes of y (N, C, H, W) and of what is added to it."""
        images, channels, height, width = y
        other = y if residual is None else residual
        kind: Literal["none", "same", "padded"] = "padded"
        if residual is None:
            kind = "none"
        elif residual == y and stride == 1:
            kind = "same"
        return cls(
            images=images,
            channels=channels,
            size=(height, width),
            kind=kind,
            residual_size=(other[2], other[3]),
            residual_channels=other[1],
            # Only "padded" reads it; one value for the others saves compiling them anew.
            stride=stride if kind == "padded" else 1,
        )

    @property
    def rows(self) -> int:
        return self.images * self.size[0] * self.size[1]


def takes_norm(bn: nn.Module, y: Tensor) -> bool:
    """Whether it is an ``nn.BatchNorm2d`` for y in training, with its defaults, and without hooks.

    Kernels go by addresses: what torch would refuse, of another length or device, they would not see.
    """
    return (
        type(bn) is nn.BatchNorm2d
        and bn.training
        and bn.momentum is not None
        and not (bn._forward_hooks or bn._forward_pre_hooks or bn._backward_hooks or bn._backward_pre_hooks)
        and all(
            _is_vector(tensor, torch.float32, y.shape[1], y)
            for tensor in (bn.weight, bn.bias, bn.running_mean, bn.running_var)
        )
        and _is_vector(bn.num_batches_tracked, torch.int64, 1, y)
    )


def takes_maps(
    y: Tensor,
    residual: Tensor | None,
    stride: int,
    *,
    device: str,
    dtypes: Collection[torch.dtype],
    rows: int,
) -> bool:
    """Whether both are channels-last maps that fit each other, of one of the types, on such a device.

    Args:
        rows: most pixels that the kernels can count.
    """
    return (
        y.device.type == device
        and type(y) is Tensor  # not one that traces or fakes
        and y.dtype in dtypes
        and _is_map(y)
        and 1 < y.numel() // y.shape[1] < rows
        and (residual is None or _fits(residual, y, stride))
    )


def _is_vector(x: Tensor | None, dtype: torch.dtype, length: int, y: Tensor) -> bool:
    return (
        x is not None
        and x.dtype is dtype
        and x.device == y.device
        and x.numel() == length
        and x.is_contiguous()
        and not x.is_neg()
    )


def _is_map(x: Tensor) -> bool:
    return (
        x.dim() == 4
        and x.shape[1] > 0
        and x.is_contiguous(memory_format=torch.channels_last)
        and not x.is_neg()  # a view whose signs are flipped when it is read
    )


def _fits(residual: Tensor, y: Tensor, stride: int) -> bool:
    return (
        residual.dtype is y.dtype
        and residual.device == y.device
        and _is_map(residual)
        and residual.shape[0] == y.shape[0]
        and residual.shape[1] <= y.shape[1]
        and all(-(-size // stride) == out for size, out in zip(residual.shape[2:], y.shape[2:], strict=True))
    )
