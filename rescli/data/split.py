"""The held-out part of a training set, and the name of a split by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch

from rescli.data.hashing import Stream, hash64

__all__ = ["split_fingerprint", "train_val_split"]


def train_val_split(num_images: int, *, val_size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Divide 0 .. num_images - 1 at random, as the paper's 45k/5k split (section 4.2).

    The paper does not say which 5000 images it held out; ours follow from ``seed`` alone.

    Returns:
        ``(train, val)``: int64 indices, each ascending; ``val`` has ``val_size`` entries.

    Raises:
        ValueError: ``val_size`` is negative or leaves nothing to train on.
    """
    if not 0 <= val_size < num_images:
        raise ValueError(f"val_size must be between 0 and {num_images - 1}, got {val_size}")
    ranking = torch.argsort(hash64(seed, Stream.SPLIT, torch.arange(num_images)), stable=True)
    return ranking[val_size:].sort().values, ranking[:val_size].sort().values


def split_fingerprint(file_hashes: Iterable[str], indices_N: torch.Tensor) -> str:
    """sha256 hex digest of a split: the files it comes from, and which images in which order."""
    digest = hashlib.sha256("\n".join(file_hashes).encode())
    digest.update(b"\n")
    digest.update(indices_N.numpy().astype("<i8").tobytes())
    return digest.hexdigest()
