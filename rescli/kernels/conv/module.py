"""``nn.Conv2d`` with the C kernels of this machine where they are faster than torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rescli.kernels.conv.native import convolve_native, pays_off_native
from rescli.kernels.winograd.native import convolve_winograd, pays_off_winograd

__all__ = ["Conv2dNative", "Conv2dWinograd"]


class _ConvByC(nn.Conv2d):
    def _takes(self, x: Tensor) -> bool:
        return (
            torch.is_grad_enabled()
            and type(x) is Tensor  # not one that traces or fakes
            and x.device.type == self.weight.device.type == "cpu"
            and x.dim() == 4
            and x.shape[1] == self.in_channels
            and x.numel() > 0
            and x.is_contiguous(memory_format=torch.channels_last)
            and self.weight.requires_grad
            and self.weight.dtype is torch.float32
            and self.weight.shape == (self.out_channels, self.in_channels, 3, 3)  # and not only called so
            and self.bias is None
            and self.padding == (1, 1)
            and self.stride in ((1, 1), (2, 2))
            and (self.dilation, self.groups, self.padding_mode) == ((1, 1), 1, "zeros")
            and not torch.compiler.is_compiling()
        )


class Conv2dNative(_ConvByC):
    """``nn.Conv2d``; in training under bf16 autocast on the CPU, where it fits, with the C's weight gradient.

    A module becomes one, and ``nn.Conv2d`` again, by its ``__class__``: there is nothing more to it.
    """

    def forward(self, input: Tensor) -> Tensor:
        """What ``nn.Conv2d`` computes: x (N, C, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride))."""
        if (
            input.dtype is torch.bfloat16
            and torch.is_autocast_enabled("cpu")
            and self._takes(input)
            and pays_off_native(self.in_channels, self.out_channels)
        ):
            return convolve_native(input, self.weight, (self.stride[0], self.stride[1]))
        return super().forward(input)


class Conv2dWinograd(_ConvByC):
    """``nn.Conv2d``; in training in fp32 on the CPU, with a stride of 1, where it fits, Winograd's in C.

    A module becomes one as it becomes ``Conv2dNative``.
    """

    def forward(self, input: Tensor) -> Tensor:
        """What ``nn.Conv2d`` computes: x (N, C, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride))."""
        if (
            input.dtype is torch.float32
            and not torch.is_autocast_enabled("cpu")
            and self.stride == (1, 1)
            and self._takes(input)
            and pays_off_winograd(input, self.out_channels)
        ):
            return convolve_winograd(input, self.weight)
        return super().forward(input)
