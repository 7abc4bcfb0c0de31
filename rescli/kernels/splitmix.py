"""SplitMix64 (Steele, Lea, Flood 2014, https://doi.org/10.1145/2660193.2660195) on int64 tensors.

Integer arithmetic that wraps modulo 2**64: no value is read back to the host, so it can stand inside a
CUDA graph. ``crop_kernels`` does the same on one number at a time.
"""

from __future__ import annotations

import torch

__all__ = [
    "FRACTION_BITS",
    "GAMMA",
    "MASK64",
    "MULTIPLIER_1",
    "MULTIPLIER_2",
    "first_state",
    "mix_int",
    "sequence64",
    "uniform_below",
]

GAMMA = 0x9E3779B97F4A7C15
MULTIPLIER_1 = 0xBF58476D1CE4E5B9
MULTIPLIER_2 = 0x94D049BB133111EB
MASK64 = (1 << 64) - 1
FRACTION_BITS = 24
"""Bits of a hash that ``uniform_below`` takes."""


def sequence64(key: int, counters: torch.Tensor) -> torch.Tensor:
    """The numbers at these places (int64, any shape) of the sequence of the key; int64 alike."""
    z = counters * _signed(GAMMA) + first_state(key)
    z = (z ^ _shift_right(z, 30)) * _signed(MULTIPLIER_1)
    z = (z ^ _shift_right(z, 27)) * _signed(MULTIPLIER_2)
    return z ^ _shift_right(z, 31)


def first_state(key: int) -> int:
    """What is mixed for the counter 0, as an int64."""
    return _signed(key + GAMMA)


def mix_int(z: int) -> int:
    """SplitMix64's finalizer: 64 bits to 64 bits."""
    z &= MASK64
    z = ((z ^ (z >> 30)) * MULTIPLIER_1) & MASK64
    z = ((z ^ (z >> 27)) * MULTIPLIER_2) & MASK64
    return z ^ (z >> 31)


def uniform_below(hashes: torch.Tensor, bound: int, *, low_bit: int) -> torch.Tensor:
    """Integers in [0, bound), each from 24 bits of its hash, starting at ``low_bit``.

    Disjoint bits of one hash give independent numbers. A value's probability is off by at most
    2**-24. ``bound`` is at most 2**24, ``low_bit`` at most 40.
    """
    assert 0 < bound <= 1 << FRACTION_BITS
    assert 0 <= low_bit <= 64 - FRACTION_BITS
    fraction = (hashes >> low_bit) & ((1 << FRACTION_BITS) - 1)
    return (fraction * bound) >> FRACTION_BITS


def _shift_right(z: torch.Tensor, bits: int) -> torch.Tensor:
    # torch shifts int64 arithmetically; the mask clears the copies of the sign bit.
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    """The int64 with the same 64 bits: torch takes no scalar above 2**63 - 1."""
    return ((value + (1 << 63)) & MASK64) - (1 << 63)
