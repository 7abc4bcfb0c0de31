"""A 3x3 convolution on the CPU whose weight's gradient is C: see ``native.c``.

torch's own takes longer than the gradient that goes to the layer below, with a stride of 2 twice as long as
this, and is rounded to bf16; this stays in fp32. The forward pass and that other gradient are torch's.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from rescli.kernels.c_compiler import compile_native

__all__ = ["Conv2dNative", "load_conv_native", "weight_gradient_native"]

_LANES = 16
_MOST_CHANNELS_IN, _MOST_CHANNELS_OUT = 64, 128
"""Sums of more do not stay in the cache from one image to the next: no faster, or slower, than torch."""
_MOST_GROUPS = 16
"""Groups of images: enough for as many threads, and few enough that their sums fit the cache."""


class Conv2dNative(nn.Conv2d):
    """``nn.Conv2d``; under bf16 autocast on the CPU, where it fits, with the C's gradient.

    A module becomes one, and ``nn.Conv2d`` again, by its ``__class__``: there is nothing more to it.
    """

    def forward(self, input: Tensor) -> Tensor:
        """What ``nn.Conv2d`` computes: x (N, C, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride))."""
        if not self._takes(input):
            return super().forward(input)
        result: Tensor = _Conv.apply(input, self.weight, self.stride)
        return result

    def _takes(self, x: Tensor) -> bool:
        return (
            torch.is_autocast_enabled("cpu")
            and torch.is_grad_enabled()
            and type(x) is Tensor  # not one that traces or fakes
            and x.dtype is torch.bfloat16
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
            and self.in_channels % _LANES == self.out_channels % _LANES == 0
            and self.in_channels <= _MOST_CHANNELS_IN
            and self.out_channels <= _MOST_CHANNELS_OUT
            and not torch.compiler.is_compiling()
        )


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int]) -> Tensor:
        cast = weight.to(x.dtype)
        ctx.stride = stride
        ctx.save_for_backward(x, cast)
        return torch.conv2d(x, cast, stride=stride, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dx = None
        if ctx.needs_input_grad[0]:
            ones = [1, 1]
            dx, _, _ = torch.ops.aten.convolution_backward(
                dy, x, weight, None, ctx.stride, ones, ones, False, [0, 0], 1, [True, False, False]
            )
        return dx, weight_gradient_native(x, dy, stride=ctx.stride[0]), None


def weight_gradient_native(x: Tensor, dy: Tensor, *, stride: int) -> Tensor:
    """The weight's gradient of a 3x3 convolution with padding 1: float32 (C_out, C_in, 3, 3), channels-last.

    Args:
        x: bf16 (N, C_in, H, W).
        dy: bf16 (N, C_out, ceil(H / stride), ceil(W / stride)), what comes from above.

    Raises:
        NoCompiler: ``load_conv_native`` says so beforehand.
    """
    library = load_conv_native()
    x, dy = (map_.resolve_neg().contiguous(memory_format=torch.channels_last) for map_ in (x, dy))
    images, channels_in, height, width = x.shape
    _, channels_out, out_height, out_width = dy.shape
    shape = _Shape(height, width, channels_in, out_height, out_width, channels_out, stride)
    threads = torch.get_num_threads()
    per_group = -(-images // _MOST_GROUPS)
    size = channels_out, 3, 3, channels_in
    sums = torch.empty((-(-images // per_group), *size), dtype=torch.float32, device="cpu")
    scratch = torch.empty(threads * library.scratch_pairs(shape), dtype=torch.int32, device="cpu")
    result = torch.empty(size, dtype=torch.float32, device="cpu")
    library.weight_gradient(
        x.data_ptr(),
        dy.data_ptr(),
        result.data_ptr(),
        sums.data_ptr(),
        scratch.data_ptr(),
        shape,
        images,
        per_group,
        threads,
    )
    return result.permute(0, 3, 1, 2)


@cache
def load_conv_native() -> ctypes.CDLL:
    """The compiled C of the convolution's gradient, with the types of its arguments.

    Raises:
        NoCompiler: it cannot be compiled here, or this processor has no use for it.
    """
    library = compile_native("conv")
    at, count = ctypes.c_void_p, ctypes.c_int64
    library.scratch_pairs.argtypes, library.scratch_pairs.restype = [ctypes.POINTER(_Shape)], count
    library.weight_gradient.argtypes = [*[at] * 5, ctypes.POINTER(_Shape), count, count, ctypes.c_int32]
    library.weight_gradient.restype = None
    return library


class _Shape(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int64)
        for name in ("height", "width", "in", "out_height", "out_width", "out", "stride")
    ]
