"""``norm_act`` by the kernels of ``norm_kernels``: what it takes, what it saves, its gradient. Needs Triton.

Where plain torch rounds the batch normalisation, then the sum, to bf16, this rounds once; in fp32 the
two differ by the order of their sums. A map and its gradient must be channels-last.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from rescli.kernels.norm import triton_code as norm_kernels
from rescli.kernels.norm.plain import norm_act
from rescli.kernels.norm.shape import NormShape, takes_maps, takes_norm
from rescli.kernels.norm.tiles import MAX_PARTIALS, NormLaunch, norm_launch

__all__ = ["INTERPRETED", "norm_act_triton"]

INTERPRETED = not isinstance(norm_kernels.normalize, triton.JITFunction)
"""Whether Triton was imported with TRITON_INTERPRET=1: kernels then run in numpy, on CPU tensors."""

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_MOST_ROWS = 1 << 30
"""Rows are counted in int32, with room for the last tile."""


def norm_act_triton(
    bn: nn.BatchNorm2d,
    y: Tensor,
    residual: Tensor | None = None,
    *,
    residual_stride: int = 1,
    relu: bool = True,
) -> Tensor:
    """``norm_act``: by the kernels in training, where they can; else, as in evaluation, by plain torch.

    They can on CUDA, for channels-last maps of fp32, bf16 or fp16, with the shortcut of the same type;
    and for an ``nn.BatchNorm2d`` as it is by default, with fp32 tensors, and no hooks that want its output.
    """
    device = "cpu" if INTERPRETED else "cuda"
    if not (
        takes_maps(y, residual, residual_stride, device=device, dtypes=_DTYPES, rows=_MOST_ROWS)
        and takes_norm(bn, y)
    ):
        return norm_act(bn, y, residual, residual_stride=residual_stride, relu=relu)
    result: Tensor = _NormAct.apply(
        y,
        residual,
        bn.weight,
        bn.bias,
        (bn.running_mean, bn.running_var, bn.num_batches_tracked),
        (bn.eps, bn.momentum),
        NormShape.of(y.shape, None if residual is None else residual.shape, residual_stride),
        relu,
    )
    return result


def _launch(shape: NormShape) -> NormLaunch:
    return norm_launch(shape.rows, shape.channels)


def _extents(shape: NormShape) -> tuple[int, int, int, int, int]:
    if shape.kind != "padded":
        return 1, 1, 1, 1, 1  # unread
    return *shape.size, *shape.residual_size, shape.residual_channels


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
        shape: NormShape,
        relu: bool,
    ) -> Tensor:
        launch = _launch(shape)
        z = torch.empty_like(y)
        # One allocation each for the partial sums and for what is saved.
        means, m2s = torch.empty(
            (2, launch.num_partials, shape.channels), dtype=torch.float32, device=y.device
        ).unbind()
        mean, rstd = torch.empty((2, shape.channels), dtype=torch.float32, device=y.device).unbind()
        blocks = {
            "BLOCK_ROWS": launch.block_rows,
            "BLOCK_CHANNELS": launch.block_channels,
            "num_warps": launch.num_warps,
        }
        with torch.cuda.device_of(y):  # type: ignore[no-untyped-call]
            norm_kernels.partial_statistics[(launch.num_partials, launch.channel_programs)](
                y, means, m2s, shape.rows, shape.channels, launch.rows_per_partial, **blocks
            )
            norm_kernels.normalize[(launch.num_programs, launch.channel_programs)](
                y,
                y if residual is None else residual,
                z,
                weight,
                bias,
                means,
                m2s,
                mean,
                rstd,
                *running,
                shape.rows,
                shape.channels,
                launch.num_partials,
                launch.rows_per_partial,
                launch.rows_per_program,
                *constants,
                *_extents(shape),
                RESIDUAL=shape.kind,
                STRIDE=shape.stride,
                RELU=relu,
                MAX_PARTIALS=MAX_PARTIALS,
                **blocks,
            )
        # Without a shortcut the ReLU's mask is read off y, and z is not kept.
        ctx.passes = "all" if not relu else "y" if residual is None else "z"
        ctx.shape = shape
        ctx.save_for_backward(y, z if ctx.passes == "z" else None, weight, bias, mean, rstd)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor) -> tuple[Tensor | None, ...]:
        y, z, weight, bias, mean, rstd = ctx.saved_tensors
        shape: NormShape = ctx.shape
        launch = _launch(shape)
        # What comes down from the pooling is one value expanded over its map.
        dz = dz.contiguous(memory_format=torch.channels_last)
        kind = shape.kind if ctx.needs_input_grad[1] else "none"
        dy = torch.empty_like(y)
        dresidual = None
        if kind == "same" and ctx.passes == "all":
            kind, dresidual = "none", dz
        elif kind != "none":
            size = (y.shape[0], shape.residual_channels, *shape.residual_size)
            dresidual = torch.empty(size, dtype=y.dtype, device=y.device, memory_format=torch.channels_last)
        sums, products = torch.empty(
            (2, launch.num_partials, shape.channels), dtype=torch.float32, device=y.device
        ).unbind()
        dweight, dbias = torch.empty_like(weight), torch.empty_like(bias)
        given = (dz, y, y if z is None else z, weight, bias, mean, rstd, sums, products)
        options = {
            "PASSES": ctx.passes,
            "BLOCK_ROWS": launch.block_rows,
            "BLOCK_CHANNELS": launch.block_channels,
            "num_warps": launch.num_warps,
        }
        with torch.cuda.device_of(y):  # type: ignore[no-untyped-call]
            norm_kernels.gradient_sums[(launch.num_partials, launch.channel_programs)](
                *given, shape.rows, shape.channels, launch.rows_per_partial, **options
            )
            norm_kernels.input_gradient[(launch.num_programs, launch.channel_programs)](
                *given,
                dy,
                dy if dresidual is None else dresidual,
                dweight,
                dbias,
                shape.rows,
                shape.channels,
                launch.num_partials,
                launch.rows_per_program,
                *_extents(shape),
                RESIDUAL=kind,
                STRIDE=shape.stride,
                MAX_PARTIALS=MAX_PARTIALS,
                **options,
            )
        return dy, dresidual, dweight, dbias, None, None, None, None
