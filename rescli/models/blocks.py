"""The two residual blocks of figure 5; without a shortcut they are the plain nets' blocks.

Batch normalisation follows each convolution and precedes the activation (section 3.4), so the
convolutions have no bias. Attributes are named as in torchvision (``conv1 bn1 conv2 bn2 conv3 bn3
downsample``), so that its state dicts load here and ours load there without renaming.

What follows a convolution goes through ``norm_act``: plain torch, unless
``rescli.kernels.choice.use_kernels`` gave the block another. It works in place: a forward hook on a
``bn`` must use its output at once, not keep it.
"""

from __future__ import annotations

from torch import Tensor, nn

from rescli.kernels.norm.plain import norm_act
from rescli.models.shortcuts import residual_of

__all__ = ["BasicBlock", "BottleneckBlock"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions (figure 5 left); the first has the stride.

    (N, C_in, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride)).
    """

    norm_act = staticmethod(norm_act)

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, shortcut: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm_act(self.bn1, self.conv1(x))
        out = self.conv2(out)
        residual, stride = residual_of(self.downsample, x)
        return self.norm_act(self.bn2, out, residual, residual_stride=stride)


class BottleneckBlock(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a quarter of the output channels (figure 5 right).

    (N, C_in, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride)).

    Args:
        stride_on: ``"1x1"`` puts the stride on the first convolution as the paper's nets have it;
            ``"3x3"`` on the second, as torchvision does ("ResNet v1.5").

    Raises:
        ValueError: ``out_channels`` is not a multiple of 4, or an unknown ``stride_on``.
    """

    norm_act = staticmethod(norm_act)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        shortcut: nn.Module | None = None,
        *,
        stride_on: str = "1x1",
    ) -> None:
        super().__init__()
        if out_channels % 4:
            raise ValueError(f"a bottleneck's output channels are a multiple of 4, not {out_channels}")
        if stride_on not in ("1x1", "3x3"):
            raise ValueError(f"unknown stride_on {stride_on!r}: 1x1 or 3x3")
        inner = out_channels // 4
        on_1x1, on_3x3 = (stride, 1) if stride_on == "1x1" else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, inner, 1, stride=on_1x1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=on_3x3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm_act(self.bn1, self.conv1(x))
        out = self.norm_act(self.bn2, self.conv2(out))
        out = self.conv3(out)
        residual, stride = residual_of(self.downsample, x)
        return self.norm_act(self.bn3, out, residual, residual_stride=stride)
