"""The kernel of ``crop_triton``; needs Triton."""

from __future__ import annotations

import triton
import triton.language as tl

from rescli.kernels import splitmix

__all__ = ["crop_flip_normalize"]

_GAMMA = tl.constexpr(splitmix.GAMMA)
_MULTIPLIER_1 = tl.constexpr(splitmix.MULTIPLIER_1)
_MULTIPLIER_2 = tl.constexpr(splitmix.MULTIPLIER_2)
_FRACTION_BITS = tl.constexpr(splitmix.FRACTION_BITS)
_FRACTION_MASK = tl.constexpr((1 << splitmix.FRACTION_BITS) - 1)


@triton.jit
def _uniform_below(hash_, BOUND: tl.constexpr, LOW_BIT: tl.constexpr):
    fraction = (hash_ >> LOW_BIT) & _FRACTION_MASK
    return ((fraction * BOUND) >> _FRACTION_BITS).to(tl.int64)


# The state depends on the seed: specialised, some seeds would compile anew.
@triton.jit(do_not_specialize=["first_state"])
def crop_flip_normalize(
    pixels_ptr,
    means_ptr,
    std_ptr,
    labels_ptr,
    indices_ptr,
    slots_ptr,
    images_ptr,
    batch_labels_ptr,
    first_state,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    PAD: tl.constexpr,
    FLIP: tl.constexpr,
    HAS_STD: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One block of the values of one image of the batch; its first block also copies the label."""
    place = tl.program_id(0).to(tl.int64)
    index = tl.load(indices_ptr + place)

    # SplitMix64 in uint64, where shifts bring in zeros.
    z = tl.load(slots_ptr + place).to(tl.uint64, bitcast=True) * _GAMMA
    z += first_state.to(tl.int64).to(tl.uint64, bitcast=True)
    z = (z ^ (z >> 30)) * _MULTIPLIER_1
    z = (z ^ (z >> 27)) * _MULTIPLIER_2
    z = z ^ (z >> 31)
    OFFSETS: tl.constexpr = 2 * PAD + 1
    dy = _uniform_below(z, OFFSETS, 40)
    dx = _uniform_below(z, OFFSETS, 16)
    flip = (z & 1).to(tl.int64) if FLIP else dx * 0

    ROW: tl.constexpr = HEIGHT * WIDTH * CHANNELS
    value = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = value < ROW
    down = value // (WIDTH * CHANNELS)
    right = value // CHANNELS % WIDTH
    # The crop at dx of the mirror image is the mirrored crop at 2 * PAD - dx of the image.
    right = tl.where(flip == 1, WIDTH - 1 - right, right)
    left = tl.where(flip == 1, 2 * PAD - dx, dx)
    corner = (index * (HEIGHT + 2 * PAD) + dy) * (WIDTH + 2 * PAD) + left
    from_ = (corner + down * (WIDTH + 2 * PAD) + right) * CHANNELS + value % CHANNELS
    x = tl.load(pixels_ptr + from_, mask=inside, other=0).to(tl.float32)
    crop = (flip * OFFSETS + dy) * OFFSETS + dx
    # Division as IEEE has it; Triton's own is off by a bit.
    x = tl.div_rn(x, 255.0) - tl.load(means_ptr + crop * ROW + value, mask=inside, other=0.0)
    if HAS_STD:
        x = tl.div_rn(x, tl.load(std_ptr + value, mask=inside, other=1.0))
    tl.store(images_ptr + place * ROW + value, x, mask=inside)
    if tl.program_id(1) == 0:
        tl.store(batch_labels_ptr + place, tl.load(labels_ptr + index))
