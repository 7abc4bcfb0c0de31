"""``norm_act`` in training mode as two Triton kernels forward and two backward; needs Triton.

A channels-last map (N, C, H, W) is a matrix of M = N * H * W rows and C columns in memory. Programs
share the rows; each leaves partial sums, and every program of the next kernel adds them up itself, in
the same order: no atomics, no third kernel, the same bits each time. Sums and statistics are fp32.

Nothing is read back to the host and no shape depends on data: fit for a CUDA graph.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["gradient_sums", "input_gradient", "normalize", "partial_statistics"]

_ANY_VALUE = [
    *("num_partials", "rows_per_partial", "rows_per_program"),
    *("height", "width", "residual_height", "residual_width"),
]
"""Compiled once and not anew for 1 and for multiples of 16: a net's stages then share their kernels."""


@triton.jit
def _tile(start, last, channel, there, C, BLOCK_ROWS: tl.constexpr):
    """Rows of the tile (int32), its offsets in an (M, C) map (int64: it may exceed 2**31) and its mask."""
    row = start + tl.arange(0, BLOCK_ROWS)
    mask = (row < last)[:, None] & there[None, :]
    return row, row.to(tl.int64)[:, None] * C + channel[None, :], mask


@triton.jit
def _channels(C, BLOCK_CHANNELS: tl.constexpr):
    channel = tl.program_id(1) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    return channel, channel < C


@triton.jit
def _source_row(row, height, width, residual_height, residual_width, STRIDE: tl.constexpr):
    """Row of the residual, int64, that option A adds to the row of the output."""
    image = row // (height * width)
    y = row // width % height
    x = row % width
    return (image.to(tl.int64) * residual_height + y * STRIDE) * residual_width + x * STRIDE


@triton.jit(do_not_specialize=_ANY_VALUE)
def partial_statistics(
    y_ptr,
    means_ptr,
    m2s_ptr,
    M,
    C,
    rows_per_partial,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """Mean and sum of squared deviations of each program's rows: float32 (num_partials, C) each.

    Tiles are joined as Chan, Golub and LeVeque do (1979): no difference of large sums.
    """
    first = tl.program_id(0) * rows_per_partial
    last = tl.minimum(first + rows_per_partial, M)
    channel, there = _channels(C, BLOCK_CHANNELS)
    mean = tl.zeros((BLOCK_CHANNELS,), tl.float32)
    m2 = tl.zeros((BLOCK_CHANNELS,), tl.float32)
    for start in range(first, last, BLOCK_ROWS):
        _, at, mask = _tile(start, last, channel, there, C, BLOCK_ROWS)
        y = tl.load(y_ptr + at, mask=mask, other=0.0).to(tl.float32)
        before = (start - first).to(tl.float32)
        count = tl.minimum(last - start, BLOCK_ROWS).to(tl.float32)
        tile_mean = tl.sum(y, 0) / count
        deviation = tl.where(mask, y - tile_mean[None, :], 0.0)
        delta = tile_mean - mean
        share = count / (before + count)
        m2 += tl.sum(deviation * deviation, 0) + delta * delta * before * share
        mean += delta * share
    to = tl.program_id(0) * C + channel
    tl.store(means_ptr + to, mean, mask=there)
    tl.store(m2s_ptr + to, m2, mask=there)


@triton.jit(do_not_specialize=_ANY_VALUE)
def normalize(
    y_ptr,
    residual_ptr,
    z_ptr,
    weight_ptr,
    bias_ptr,
    means_ptr,
    m2s_ptr,
    mean_ptr,
    rstd_ptr,
    running_mean_ptr,
    running_var_ptr,
    num_batches_ptr,
    M,
    C,
    num_partials,
    rows_per_partial,
    rows_per_program,
    eps,
    momentum,
    height,
    width,
    residual_height,
    residual_width,
    residual_channels,
    RESIDUAL: tl.constexpr,
    STRIDE: tl.constexpr,
    RELU: tl.constexpr,
    MAX_PARTIALS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """z = relu((y - mean) * rstd * weight + bias + residual), and the statistics, saved and running.

    RESIDUAL is "none", "same" (the shape of y) or "padded" (option A).
    """
    channel, there = _channels(C, BLOCK_CHANNELS)
    partial = tl.arange(0, MAX_PARTIALS)
    known = (partial < num_partials)[:, None] & there[None, :]
    partial_at = partial[:, None] * C + channel[None, :]
    means = tl.load(means_ptr + partial_at, mask=known, other=0.0)
    m2s = tl.load(m2s_ptr + partial_at, mask=known, other=0.0)
    count = tl.minimum(M - partial * rows_per_partial, rows_per_partial).to(tl.float32)[:, None]
    total = M.to(tl.float32)
    mean = tl.sum(tl.where(known, means * count, 0.0), 0) / total
    off = means - mean[None, :]
    m2 = tl.sum(m2s, 0) + tl.sum(tl.where(known, off * off * count, 0.0), 0)
    rstd = tl.div_rn(1.0, tl.sqrt_rn(m2 / total + eps))
    if tl.program_id(0) == 0:
        tl.store(mean_ptr + channel, mean, mask=there)
        tl.store(rstd_ptr + channel, rstd, mask=there)
        old_mean = tl.load(running_mean_ptr + channel, mask=there, other=0.0)
        old_var = tl.load(running_var_ptr + channel, mask=there, other=0.0)
        var = m2 / (total - 1)
        tl.store(running_mean_ptr + channel, old_mean + momentum * (mean - old_mean), mask=there)
        tl.store(running_var_ptr + channel, old_var + momentum * (var - old_var), mask=there)
        if tl.program_id(1) == 0:
            tl.store(num_batches_ptr, tl.load(num_batches_ptr) + 1)

    weight = tl.load(weight_ptr + channel, mask=there, other=0.0)
    bias = tl.load(bias_ptr + channel, mask=there, other=0.0)
    first = tl.program_id(0) * rows_per_program
    last = tl.minimum(first + rows_per_program, M)
    for start in range(first, last, BLOCK_ROWS):
        row, at, mask = _tile(start, last, channel, there, C, BLOCK_ROWS)
        y = tl.load(y_ptr + at, mask=mask, other=0.0).to(tl.float32)
        z = (y - mean[None, :]) * rstd[None, :] * weight[None, :] + bias[None, :]
        if RESIDUAL == "same":
            z += tl.load(residual_ptr + at, mask=mask, other=0.0).to(tl.float32)
        if RESIDUAL == "padded":
            source = _source_row(row, height, width, residual_height, residual_width, STRIDE)
            from_ = source[:, None] * residual_channels + channel[None, :]
            given = mask & (channel < residual_channels)[None, :]
            z += tl.load(residual_ptr + from_, mask=given, other=0.0).to(tl.float32)
        if RELU:
            z = tl.where(z <= 0, 0.0, z)  # what is no number stays, as in torch
        tl.store(z_ptr + at, z.to(z_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _gradient(dz_ptr, y_ptr, z_ptr, at, mask, mean, rstd, weight, bias, PASSES: tl.constexpr):
    """(g, xhat): the gradient below the ReLU, and the normalised map.

    PASSES says where the ReLU let through: "all" (there is none), where "z" is positive, or where the
    affine map of "y" is, which needs no z.
    """
    g = tl.load(dz_ptr + at, mask=mask, other=0.0).to(tl.float32)
    y = tl.load(y_ptr + at, mask=mask, other=0.0).to(tl.float32)
    xhat = (y - mean[None, :]) * rstd[None, :]
    if PASSES == "z":
        z = tl.load(z_ptr + at, mask=mask, other=0.0).to(tl.float32)
        g = tl.where(z <= 0, 0.0, g)
    if PASSES == "y":
        g = tl.where(xhat * weight[None, :] + bias[None, :] <= 0, 0.0, g)
    return g, xhat


@triton.jit(do_not_specialize=_ANY_VALUE)
def gradient_sums(
    dz_ptr,
    y_ptr,
    z_ptr,
    weight_ptr,
    bias_ptr,
    mean_ptr,
    rstd_ptr,
    sums_ptr,
    products_ptr,
    M,
    C,
    rows_per_partial,
    PASSES: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """Sums of g and of g * xhat over each program's rows: float32 (num_partials, C) each."""
    channel, there = _channels(C, BLOCK_CHANNELS)
    mean = tl.load(mean_ptr + channel, mask=there, other=0.0)
    rstd = tl.load(rstd_ptr + channel, mask=there, other=0.0)
    weight = tl.load(weight_ptr + channel, mask=there, other=0.0)
    bias = tl.load(bias_ptr + channel, mask=there, other=0.0)
    first = tl.program_id(0) * rows_per_partial
    last = tl.minimum(first + rows_per_partial, M)
    total = tl.zeros((BLOCK_CHANNELS,), tl.float32)
    product = tl.zeros((BLOCK_CHANNELS,), tl.float32)
    for start in range(first, last, BLOCK_ROWS):
        _, at, mask = _tile(start, last, channel, there, C, BLOCK_ROWS)
        g, xhat = _gradient(dz_ptr, y_ptr, z_ptr, at, mask, mean, rstd, weight, bias, PASSES)
        total += tl.sum(g, 0)
        product += tl.sum(g * xhat, 0)
    to = tl.program_id(0) * C + channel
    tl.store(sums_ptr + to, total, mask=there)
    tl.store(products_ptr + to, product, mask=there)


@triton.jit(do_not_specialize=_ANY_VALUE)
def input_gradient(
    dz_ptr,
    y_ptr,
    z_ptr,
    weight_ptr,
    bias_ptr,
    mean_ptr,
    rstd_ptr,
    sums_ptr,
    products_ptr,
    dy_ptr,
    dresidual_ptr,
    dweight_ptr,
    dbias_ptr,
    M,
    C,
    num_partials,
    rows_per_program,
    height,
    width,
    residual_height,
    residual_width,
    residual_channels,
    PASSES: tl.constexpr,
    RESIDUAL: tl.constexpr,
    STRIDE: tl.constexpr,
    MAX_PARTIALS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """dy = weight * rstd * (g - mean(g) - xhat * mean(g * xhat)), dweight, dbias, and dresidual.

    RESIDUAL as in ``normalize``, "none" also where its gradient is not wanted. Option A's is written whole,
    zeros between the strided pixels included, so that nobody need clear it first.
    """
    channel, there = _channels(C, BLOCK_CHANNELS)
    mean = tl.load(mean_ptr + channel, mask=there, other=0.0)
    rstd = tl.load(rstd_ptr + channel, mask=there, other=0.0)
    weight = tl.load(weight_ptr + channel, mask=there, other=0.0)
    bias = tl.load(bias_ptr + channel, mask=there, other=0.0)
    partial = tl.arange(0, MAX_PARTIALS)
    known = (partial < num_partials)[:, None] & there[None, :]
    partial_at = partial[:, None] * C + channel[None, :]
    total = tl.sum(tl.load(sums_ptr + partial_at, mask=known, other=0.0), 0)
    product = tl.sum(tl.load(products_ptr + partial_at, mask=known, other=0.0), 0)
    if tl.program_id(0) == 0:
        tl.store(dbias_ptr + channel, total, mask=there)
        tl.store(dweight_ptr + channel, product, mask=there)

    mean_g = total / M.to(tl.float32)
    mean_product = product / M.to(tl.float32)
    first = tl.program_id(0) * rows_per_program
    last = tl.minimum(first + rows_per_program, M)
    for start in range(first, last, BLOCK_ROWS):
        row, at, mask = _tile(start, last, channel, there, C, BLOCK_ROWS)
        g, xhat = _gradient(dz_ptr, y_ptr, z_ptr, at, mask, mean, rstd, weight, bias, PASSES)
        dy = (weight * rstd)[None, :] * (g - mean_g[None, :] - xhat * mean_product[None, :])
        tl.store(dy_ptr + at, dy.to(dy_ptr.dtype.element_ty), mask=mask)
        if RESIDUAL == "same":
            tl.store(dresidual_ptr + at, g.to(dresidual_ptr.dtype.element_ty), mask=mask)
        if RESIDUAL == "padded":
            source = _source_row(row, height, width, residual_height, residual_width, STRIDE)
            y = row // width % height * STRIDE
            x = row % width * STRIDE
            given = mask & (channel < residual_channels)[None, :]
            for down in tl.static_range(STRIDE):
                for right in tl.static_range(STRIDE):
                    to = source + down * residual_width + right
                    inside = (y + down < residual_height) & (x + right < residual_width)
                    value = g if down + right == 0 else tl.zeros_like(g)
                    tl.store(
                        dresidual_ptr + to[:, None] * residual_channels + channel[None, :],
                        value.to(dresidual_ptr.dtype.element_ty),
                        mask=given & inside[:, None],
                    )
