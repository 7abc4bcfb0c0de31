"""``norm_act`` on the CPU in two calls of C, forward and backward: see ``native.c``. Needs a C compiler.

Plain torch walks over the maps in seven loops where this has four. It rounds the batch normalisation, then
the sum, to bf16, and this rounds once; in fp32 the two differ by the order of their sums.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from rescli.kernels.c_compiler import compile_native
from rescli.kernels.norm.plain import norm_act
from rescli.kernels.norm.shape import NormShape, takes_maps, takes_norm

__all__ = ["load_norm_native", "norm_act_native"]

_DEFINES = {torch.float32: (), torch.bfloat16: ("MAP_BF16",)}
_LANES = 16
_KINDS = {"none": 0, "same": 1, "padded": 2}
_PASSES = {"all": 0, "y": 1, "z": 2}


def norm_act_native(
    bn: nn.BatchNorm2d,
    y: Tensor,
    residual: Tensor | None = None,
    *,
    residual_stride: int = 1,
    relu: bool = True,
) -> Tensor:
    """``norm_act``: by C in training, where it can; else, as in evaluation, by plain torch.

    It can on the CPU, for channels-last maps of fp32 or bf16 with a multiple of 16 channels, and the shortcut
    of the same type; and for an ``nn.BatchNorm2d`` as ``takes_norm`` wants it.

    Raises:
        NoCompiler: ``load_norm_native`` says so beforehand.
    """
    if (
        not takes_maps(y, residual, residual_stride, device="cpu", dtypes=_DEFINES, rows=1 << 62)
        or not takes_norm(bn, y)
        or torch.compiler.is_compiling()
        or y.shape[1] % _LANES
        or (residual is not None and residual.shape[1] % _LANES)
    ):
        return norm_act(bn, y, residual, residual_stride=residual_stride, relu=relu)
    result: Tensor = _NormAct.apply(
        y,
        residual,
        bn.weight,
        bn.bias,
        (bn.running_mean, bn.running_var, bn.num_batches_tracked),
        (bn.eps, bn.momentum),
        residual_stride,
        relu,
    )
    return result


@cache
def load_norm_native(dtype: torch.dtype) -> ctypes.CDLL:
    """The compiled library for maps of this type, float32 or bfloat16.

    Raises:
        NoCompiler: it cannot be compiled here.
    """
    library = compile_native("norm", *_DEFINES[dtype])
    at, count, choice, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.c_double
    library.norm_forward.argtypes = [at] * 13 + [count] * 4 + [choice] * 2 + [number] * 2 + [choice]
    library.norm_backward.argtypes = [at] * 17 + [count] * 5 + [choice] * 3
    library.norm_forward.restype = library.norm_backward.restype = None
    return library


class _Shortcut(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int64)
        for name in ("height", "width", "residual_height", "residual_width", "channels", "stride")
    ]


@dataclass(frozen=True)
class _Call:
    """What the C of one call is told beside the tensors: of the shape alone, as the bits of a sum are."""

    kind: int
    shortcut: Any
    images: int
    rows: int
    channels: int
    rows_per_partial: int
    rows_per_tile: int

    @property
    def num_partials(self) -> int:
        return -(-self.rows // self.rows_per_partial)


@cache
def _call(y: torch.Size, residual: torch.Size | None, stride: int) -> _Call:
    """A partial sum is formed over 32 KB of bf16, as much as a thread is worth waking for; a tile of it has
    8 KB, of which the L1 cache holds three.
    """
    shape = NormShape.of(y, residual, stride)
    extents = *shape.size, *shape.residual_size, shape.residual_channels, shape.stride
    return _Call(
        kind=_KINDS[shape.kind],
        shortcut=ctypes.byref(_Shortcut(*extents)),
        images=shape.images,
        rows=shape.rows,
        channels=shape.channels,
        rows_per_partial=max(64, 16384 // shape.channels),
        rows_per_tile=max(8, 4096 // shape.channels),
    )


def _floats(count: int, *shape: int) -> tuple[Tensor, ...]:
    # Neither type nor device is left to torch's defaults, which a program may set.
    return torch.empty((count, *shape), dtype=torch.float32, device="cpu").unbind()


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _at(*tensors: Tensor | None) -> list[int | None]:
    return [None if tensor is None else tensor.data_ptr() for tensor in tensors]


class _NormAct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        y: Tensor,
        residual: Tensor | None,
        weight: Tensor,
        bias: Tensor,
        running: tuple[Tensor, Tensor, Tensor],
        constants: tuple[float, float],
        residual_stride: int,
        relu: bool,
    ) -> Tensor:
        call = _call(y.shape, None if residual is None else residual.shape, residual_stride)
        z = torch.empty_like(y)
        mean, rstd = _floats(2, call.channels)
        means, m2s = _floats(2, call.num_partials, call.channels)
        load_norm_native(y.dtype).norm_forward(
            *_at(y, residual, z, weight, bias, *running, mean, rstd, means, m2s),
            call.shortcut,
            call.rows,
            call.channels,
            call.rows_per_partial,
            call.rows_per_tile,
            call.kind,
            relu,
            *constants,
            torch.get_num_threads(),
        )
        # Without a shortcut the ReLU's mask is read off y, and z is not kept.
        ctx.passes = "all" if not relu else "y" if residual is None else "z"
        ctx.call = call
        ctx.residual_shape = None if residual is None else residual.shape
        ctx.save_for_backward(y, z if ctx.passes == "z" else None, weight, bias, mean, rstd)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor) -> tuple[Tensor | None, ...]:
        y, z, weight, bias, mean, rstd = ctx.saved_tensors
        call: _Call = ctx.call
        # What comes down from the pooling is one value expanded over its map; and hooks on saved tensors, as
        # those that keep them elsewhere, may give them back in another layout.
        dz, y = _channels_last(dz), _channels_last(y)
        z = None if z is None else _channels_last(z)
        kind = call.kind if ctx.needs_input_grad[1] else _KINDS["none"]
        dy, dweight, dbias = torch.empty_like(y), torch.empty_like(weight), torch.empty_like(bias)
        dresidual = None
        if kind == _KINDS["same"] and ctx.passes == "all":
            kind, dresidual = _KINDS["none"], dz
        elif kind != _KINDS["none"]:
            dresidual = torch.empty(
                ctx.residual_shape, dtype=y.dtype, device=y.device, memory_format=torch.channels_last
            )
        scratch, partials = _floats(3, call.channels), _floats(2, call.num_partials, call.channels)
        load_norm_native(y.dtype).norm_backward(
            *_at(dz, y, z, weight, bias, mean, rstd, dy, dresidual, dweight, dbias, *partials, *scratch),
            call.shortcut,
            call.images,
            call.rows,
            call.channels,
            call.rows_per_partial,
            call.rows_per_tile,
            kind,
            _PASSES[ctx.passes],
            torch.get_num_threads(),
        )
        return dy, dresidual, dweight, dbias, None, None, None, None
