"""What follows a convolution, as one call: batch normalisation, the shortcut's addition, ReLU.

Plain torch. ``norm_triton`` has the same function in four kernels; nets call whichever
``rescli.kernels.choice.use_kernels`` gave their blocks, and this one unless told.
"""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["NormAct", "norm_act", "zero_padded"]


class NormAct(Protocol):
    """What a block calls after each of its convolutions."""

    def __call__(
        self,
        bn: nn.BatchNorm2d,
        y: Tensor,
        residual: Tensor | None = None,
        *,
        residual_stride: int = 1,
        relu: bool = True,
    ) -> Tensor:
        """The call of ``norm_act``, which all of them equal."""


def norm_act(
    bn: nn.BatchNorm2d,
    y: Tensor,
    residual: Tensor | None = None,
    *,
    residual_stride: int = 1,
    relu: bool = True,
) -> Tensor:
    """``relu(bn(y) + residual)``: (N, C, H, W) -> (N, C, H, W).

    The addition and the ReLU work in place on the output of ``bn``: neither needs it for the gradient,
    and that saves one activation map each.

    Args:
        residual: None adds nothing. Either of the shape of ``y``, or (N, C_in, H', W') with C_in <= C,
            of which every ``residual_stride``-th pixel is added to the first C_in channels: option A
            of section 3.3.
        relu: False leaves the ReLU out.
    """
    out: Tensor = bn(y)
    if residual is not None:
        missing = out.shape[1] - residual.shape[1]
        if missing or residual_stride != 1:
            residual = zero_padded(residual, extra_channels=missing, stride=residual_stride)
        out += residual
    return F.relu(out, inplace=True) if relu else out


def zero_padded(x: Tensor, *, extra_channels: int, stride: int) -> Tensor:
    """(N, C, H, W) -> (N, C + extra_channels, ceil(H / stride), ceil(W / stride))."""
    # A window of one pixel picks every stride-th; a slice would too, but its gradient comes back
    # as plain NCHW, and every operation above it then walks two layouts at once.
    x = F.avg_pool2d(x, 1, stride)
    return F.pad(x, (0, 0, 0, 0, 0, extra_channels))
