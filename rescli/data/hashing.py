"""Random numbers without a generator: a hash of (seed, stream, counter).

Every random choice about the data is read off this hash, so it depends on nothing else: not on the
device, the number of workers, the version of torch, or what was drawn before. Resuming needs only
the step. The hash is SplitMix64 (``rescli.kernels.splitmix``): a key picks the sequence, the counter
the place in it.
"""

from __future__ import annotations

from enum import IntEnum

import torch

from rescli.kernels.splitmix import GAMMA, MASK64, mix_int, sequence64, uniform_below

__all__ = ["Stream", "hash64", "stream_key", "uniform_below"]


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


def hash64(seed: int, stream: int, counters: torch.Tensor) -> torch.Tensor:
    """64 random bits for each counter.

    Args:
        seed: any integer; taken modulo 2**64.
        stream: a ``Stream``, or another integer for a purpose of one's own.
        counters: int64, any shape, on any device.

    Returns:
        int64 of the same shape and device, uniform over all 2**64 values.
    """
    return sequence64(stream_key(seed, stream), counters)


def stream_key(seed: int, stream: int) -> int:
    """The key of the stream's sequence, in [0, 2**64)."""
    return mix_int(mix_int(seed & MASK64) + (stream + 1) * GAMMA)
