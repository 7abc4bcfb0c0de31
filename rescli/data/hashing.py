"""Random numbers without a generator: a hash of (seed, stream, counter).

Every random choice about the data is read off this hash, so it depends on nothing else: not on the
device, the number of workers, the version of torch, or what was drawn before. Resuming needs only
the step. The hash is SplitMix64 (Steele, Lea, Flood 2014, https://doi.org/10.1145/2660193.2660195):
``key`` picks the sequence, the counter the place in it.

All of it is integer arithmetic on int64 tensors that wraps modulo 2**64: no value is read back to
the host, so it can stand inside a CUDA graph.
"""

from __future__ import annotations

from enum import IntEnum

import torch

__all__ = ["Stream", "hash64", "uniform_below"]


class Stream(IntEnum):
    """What the numbers are for; two streams of one seed are independent. Never renumber."""

    ORDER = 1
    """The order of the images in an epoch."""
    CROP_FLIP = 2
    """The crop and flip of a training image."""
    SPLIT = 3
    """Which training images are held out for validation."""
    PHOTO = 4
    """The scale, crop and flip of a training photograph."""
    COLOR = 5
    """Its colour shift."""


_GAMMA = 0x9E3779B97F4A7C15
_MULTIPLIER_1 = 0xBF58476D1CE4E5B9
_MULTIPLIER_2 = 0x94D049BB133111EB
_MASK64 = (1 << 64) - 1
_FRACTION_BITS = 24


def hash64(seed: int, stream: int, counters: torch.Tensor) -> torch.Tensor:
    """64 random bits for each counter.

    Args:
        seed: any integer; taken modulo 2**64.
        stream: a ``Stream``, or another integer for a purpose of one's own.
        counters: int64, any shape, on any device.

    Returns:
        int64 of the same shape and device, uniform over all 2**64 values.
    """
    key = _mix_int(_mix_int(seed & _MASK64) + (stream + 1) * _GAMMA)
    z = counters * _signed(_GAMMA) + _signed(key + _GAMMA)
    z = (z ^ _shift_right(z, 30)) * _signed(_MULTIPLIER_1)
    z = (z ^ _shift_right(z, 27)) * _signed(_MULTIPLIER_2)
    return z ^ _shift_right(z, 31)


def uniform_below(hashes: torch.Tensor, bound: int, *, low_bit: int) -> torch.Tensor:
    """Integers in [0, bound), each from 24 bits of its hash, starting at ``low_bit``.

    Disjoint bits of one hash give independent numbers. A value's probability is off by at most
    2**-24. ``bound`` is at most 2**24, ``low_bit`` at most 40.
    """
    assert 0 < bound <= 1 << _FRACTION_BITS
    assert 0 <= low_bit <= 64 - _FRACTION_BITS
    fraction = (hashes >> low_bit) & ((1 << _FRACTION_BITS) - 1)
    return (fraction * bound) >> _FRACTION_BITS


def _shift_right(z: torch.Tensor, bits: int) -> torch.Tensor:
    # torch shifts int64 arithmetically; the mask clears the copies of the sign bit.
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _mix_int(z: int) -> int:
    z &= _MASK64
    z = ((z ^ (z >> 30)) * _MULTIPLIER_1) & _MASK64
    z = ((z ^ (z >> 27)) * _MULTIPLIER_2) & _MASK64
    return z ^ (z >> 31)


def _signed(value: int) -> int:
    """The int64 with the same 64 bits: torch takes no scalar above 2**63 - 1."""
    return ((value + (1 << 63)) & _MASK64) - (1 << 63)
