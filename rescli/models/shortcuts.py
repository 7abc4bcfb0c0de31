"""The shortcuts of section 3.3: identity, zero padding (A) and projection (B, C)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from rescli.kernels.norm.plain import norm_act, zero_padded

__all__ = ["ProjectionShortcut", "ZeroPadShortcut", "make_shortcut", "residual_of"]


class ZeroPadShortcut(nn.Module):
    """Option A: every ``stride``-th pixel, and zero channels behind the given ones. No parameters."""

    def __init__(self, *, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        if out_channels < in_channels:
            raise ValueError(f"option A only adds channels: {in_channels} in, {out_channels} out")
        self.extra_channels = out_channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride))."""
        return zero_padded(x, extra_channels=self.extra_channels, stride=self.stride)

    def extra_repr(self) -> str:
        return f"extra_channels={self.extra_channels}, stride={self.stride}"


class ProjectionShortcut(nn.Sequential):
    """Options B and C: a 1x1 convolution with the block's stride, then batch normalisation."""

    norm_act = staticmethod(norm_act)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride))."""
        conv, bn = self
        return self.norm_act(bn, conv(x), relu=False)  # type: ignore[arg-type]


def make_shortcut(
    option: Literal["A", "B", "C"] | None, in_channels: int, out_channels: int, stride: int
) -> nn.Module | None:
    """The module beside a block's branch; None, no shortcut at all, for option None (a plain net).

    ======  ===================  =====================
    option  same size, channels  size or channels grow
    ======  ===================  =====================
    A       identity             zero padding
    B       identity             projection
    C       projection           projection
    ======  ===================  =====================

    Raises:
        ValueError: an unknown option, or option A where channels become fewer.
    """
    if option is None:
        return None
    if option not in ("A", "B", "C"):
        raise ValueError(f"unknown shortcut {option!r}: A, B, C, or None for a plain net")
    changes = stride != 1 or in_channels != out_channels
    if option == "C" or (option == "B" and changes):
        return ProjectionShortcut(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
    if changes:
        return ZeroPadShortcut(in_channels=in_channels, out_channels=out_channels, stride=stride)
    return nn.Identity()


def residual_of(shortcut: nn.Module | None, x: Tensor) -> tuple[Tensor | None, int]:
    """``(residual, residual_stride)`` for ``kernels.norm.plain.norm_act``, which adds option A unpadded."""
    if shortcut is None:
        return None, 1
    if type(shortcut) is ZeroPadShortcut:
        return x, shortcut.stride
    return shortcut(x), 1
