"""The held-out part of a training set, and the name of a split by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch

from rescli.data.hashing import Stream, hash64

__all__ = ["split_fingerprint", "stratified_split", "train_val_split"]


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


def stratified_split(
    labels_N: torch.Tensor, *, val_size: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Divide labelled images at random so that both parts have the classes in the same proportions.

    Each class gives its share of ``val_size``, rounded so that the shares add up (by the largest remainders);
    the last image of a class is given only where there are too few others.

    Args:
        labels_N: int64 (N,), the class of each image.

    Returns:
        ``(train, val)``: int64 indices, each ascending; ``val`` has ``val_size`` entries.

    Raises:
        ValueError: ``val_size`` is negative or leaves nothing to train on.
    """
    num_images = len(labels_N)
    if not 0 <= val_size < num_images:
        raise ValueError(f"val_size must be between 0 and {num_images - 1}, got {val_size}")
    ranking = torch.argsort(hash64(seed, Stream.SPLIT, torch.arange(num_images)), stable=True)
    counts = torch.bincount(labels_N)
    shares = torch.tensor(_shares(counts.tolist(), val_size))
    # By class, within a class by rank: the first of each class are held out.
    by_class = ranking[torch.argsort(labels_N[ranking], stable=True)]
    labels = labels_N[by_class]
    place_in_class = torch.arange(num_images) - (counts.cumsum(0) - counts)[labels]
    is_val = torch.zeros(num_images, dtype=torch.bool)
    is_val[by_class[place_in_class < shares[labels]]] = True
    return (~is_val).nonzero().flatten(), is_val.nonzero().flatten()


def split_fingerprint(file_hashes: Iterable[str], indices_N: torch.Tensor) -> str:
    """sha256 hex digest of a split: the files it comes from, and which images in which order."""
    digest = hashlib.sha256("\n".join(file_hashes).encode())
    digest.update(b"\n")
    digest.update(indices_N.numpy().astype("<i8").tobytes())
    return digest.hexdigest()


def _shares(counts: list[int], val_size: int) -> list[int]:
    """How many images each class gives."""
    whole = sum(counts)
    shares = [count * val_size // whole for count in counts]
    # Of equal remainders the smaller class's counts first: its errors would rest on fewer images else.
    by_remainder = sorted(
        range(len(counts)), key=lambda label: (-(counts[label] * val_size % whole), counts[label])
    )
    for least_kept in (1, 0):
        # Rounds, for where some classes have none to give.
        while (missing := val_size - sum(shares)) > 0:
            giving = [label for label in by_remainder if counts[label] - shares[label] > least_kept]
            if not giving:
                break
            for label in giving[:missing]:
                shares[label] += 1
    return shares
