"""A 3x3 convolution of bf16 maps on the CPU whose weight's gradient is C: see ``native.c``.

torch's own takes longer than the gradient that goes to the layer below, with a stride of 2 twice as long as
this, and is rounded to bf16; this stays in fp32. The forward pass and that other gradient are torch's.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rescli.kernels.c_compiler import compile_native

__all__ = ["convolve_native", "load_conv_native", "pays_off_native", "weight_gradient_native"]

_LANES = 16
_MOST_CHANNELS_IN, _MOST_CHANNELS_OUT = 64, 128
"""Sums of more do not stay in the cache from one image to the next: no faster, or slower, than torch."""
_MOST_GROUPS = 16
"""Groups of images: enough for as many threads, and few enough that their sums fit the cache."""


def pays_off_native(channels: int, channels_out: int) -> bool:
    """Whether a convolution of so many channels is one whose gradient is faster than torch's."""
    return (
        channels % _LANES == channels_out % _LANES == 0
        and channels <= _MOST_CHANNELS_IN
        and channels_out <= _MOST_CHANNELS_OUT
    )


def convolve_native(x: Tensor, weight: Tensor, stride: tuple[int, int]) -> Tensor:
    """The 3x3 convolution with padding 1 of ``torch.conv2d`` in bf16, differentiable once.

    Args:
        x: bf16 (N, C, H, W), channels-last.
        weight: float32 (C_out, C, 3, 3).
        stride: (1, 1) or (2, 2).

    Returns:
        bf16 (N, C_out, ceil(H / stride), ceil(W / stride)).

    Raises:
        NoCompiler: ``load_conv_native`` says so beforehand.
    """
    result: Tensor = _Conv.apply(x, weight, stride)
    return result


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
