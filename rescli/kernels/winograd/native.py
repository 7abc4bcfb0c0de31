"""A 3x3 convolution of fp32 maps on the CPU and its gradients in C: see ``native.c``. Needs a C compiler.

torch's is direct, at about the rate of a matrix product; Winograd's has a quarter of its products. Against
float64 the output and the input's gradient are 2 to 3 times as far off as torch's, the weight's gradient
between half as far and 4 times.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rescli.kernels.c_compiler import compile_native

__all__ = [
    "convolve_winograd",
    "input_gradient_winograd",
    "load_winograd",
    "pays_off_winograd",
    "weight_gradient_winograd",
]

_LANES = 16
_POINTS = 36
_MOST_CHANNELS, _MOST_CHANNELS_OF_GRADIENT = 512, 256
"""More weights do not stay in the cache from one group of tiles to the next: less than 1.25 times as fast."""
_LEAST_SIZE = 7
"""Height and width. Of smaller maps torch's sums have few terms, and this is up to 7 times as far off."""
_TILE, _MOST_BEYOND_THE_EDGE = 4, 1.4
"""Pixels of the tiles as a share of the map's: 1.31 for 7x7, where it is 1.4 times as fast as torch."""
_MOST_GROUPS = 16
"""Groups of images: enough for as many threads, and few enough that their sums fit the cache."""


def pays_off_winograd(x: Tensor, channels_out: int) -> bool:
    """Whether a convolution of x (N, C, H, W) to so many channels is one that it is faster for than torch."""
    _, channels, height, width = x.shape
    tiles = -(-height // _TILE) * -(-width // _TILE)
    return (
        channels % _LANES == channels_out % _LANES == 0
        and max(channels, channels_out) <= _MOST_CHANNELS
        and min(height, width) >= _LEAST_SIZE
        and tiles * _TILE**2 <= _MOST_BEYOND_THE_EDGE * height * width
    )


def convolve_winograd(x: Tensor, weight: Tensor) -> Tensor:
    """The 3x3 convolution with stride 1 and padding 1 of ``torch.conv2d``, differentiable once.

    Args:
        x: float32 (N, C, H, W), channels-last, with a multiple of 16 channels.
        weight: float32 (C_out, C, 3, 3) in any layout; C_out a multiple of 16.

    Returns:
        (N, C_out, H, W), channels-last.

    Raises:
        NoCompiler: ``load_winograd`` says so beforehand.
    """
    result: Tensor = _Convolution.apply(x, weight)
    return result


def input_gradient_winograd(dy: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the input: dy (N, C_out, H, W), weight (C_out, C, 3, 3) -> (N, C, H, W).

    It is the convolution of dy with the weight mirrored, in and out exchanged.

    Raises:
        NoCompiler: ``load_winograd`` says so beforehand.
    """
    weight = weight.resolve_neg()
    out, channels, row, column = weight.stride()
    last = 2 * (row + column) * weight.element_size()
    return _convolve(dy, weight, weight.shape[1], (channels, out, -row, -column), last)


def weight_gradient_winograd(x: Tensor, dy: Tensor) -> Tensor:
    """The gradient of the weight: x (N, C, H, W), dy (N, C_out, H, W) -> (C_out, C, 3, 3), channels-last.

    Raises:
        NoCompiler: ``load_winograd`` says so beforehand.
    """
    library = load_winograd()
    x, dy = _plain(x), _plain(dy)
    images, channels, height, width = x.shape
    shape = _Shape(images, height, width, channels, dy.shape[1])
    threads = torch.get_num_threads()
    per_group = -(-images // _MOST_GROUPS)
    result = _map(dy.shape[1], channels, 3, 3)
    parts = _floats(-(-images // per_group), result.numel())
    scratch = _floats(threads, library.gradient_scratch_floats(shape))
    library.weight_gradient(
        *(tensor.data_ptr() for tensor in (x, dy, result, parts, scratch, _zeros(channels))),
        shape,
        per_group,
        threads,
    )
    return result


@cache
def load_winograd() -> ctypes.CDLL:
    """The compiled C, with the types of its arguments.

    Raises:
        NoCompiler: it cannot be compiled here, or this processor has no AVX2.
    """
    library = compile_native("winograd")
    at, count, choice, shape = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.POINTER(_Shape)
    for name in ("scratch_floats", "gradient_scratch_floats"):
        function = getattr(library, name)
        function.argtypes, function.restype = [shape], count
    library.convolve.argtypes = [*[at] * 7, shape, choice]
    library.weight_gradient.argtypes = [*[at] * 6, shape, count, choice]
    library.convolve.restype = library.weight_gradient.restype = None
    return library


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        weight = weight.resolve_neg()
        return _convolve(x, weight, weight.shape[0], weight.stride())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dx = input_gradient_winograd(dy, weight) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return dx, None
        if max(weight.shape[:2]) <= _MOST_CHANNELS_OF_GRADIENT:
            return dx, weight_gradient_winograd(x, dy)
        ones = [1, 1]
        _, dw, _ = torch.ops.aten.convolution_backward(
            dy, x, weight, None, ones, ones, ones, False, [0, 0], 1, [False, True, False]
        )
        return dx, dw


def _convolve(
    x: Tensor, weight: Tensor, channels_out: int, strides: tuple[int, ...], offset_bytes: int = 0
) -> Tensor:
    library = load_winograd()
    x = _plain(x)
    images, channels, height, width = x.shape
    shape = _Shape(images, height, width, channels, channels_out)
    threads = torch.get_num_threads()
    y = _map(images, channels_out, height, width)
    points = _floats(_POINTS, channels, channels_out)
    scratch = _floats(threads, library.scratch_floats(shape))
    library.convolve(
        x.data_ptr(),
        weight.data_ptr() + offset_bytes,
        (ctypes.c_int64 * 4)(*strides),
        *(tensor.data_ptr() for tensor in (y, points, scratch, _zeros(channels))),
        shape,
        threads,
    )
    return y


def _plain(x: Tensor) -> Tensor:
    """As C reads it: what comes down from above may be expanded, in another layout or a negative view."""
    return x.resolve_neg().contiguous(memory_format=torch.channels_last)


def _floats(*size: int) -> Tensor:
    # Neither type nor device is left to torch's defaults, which a program may set.
    return torch.empty(size, dtype=torch.float32, device="cpu")


def _map(*size: int) -> Tensor:
    # No view of another tensor: what follows may work in place on what a Function returns.
    return torch.empty(size, dtype=torch.float32, device="cpu", memory_format=torch.channels_last)


@cache
def _zeros(channels: int) -> Tensor:
    """Six pixels beyond the edge."""
    return torch.zeros(6 * channels, dtype=torch.float32, device="cpu")


class _Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("images", "height", "width", "in", "out")]
