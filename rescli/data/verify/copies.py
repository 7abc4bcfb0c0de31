"""Equal images within a split and between two, found by hashes of their contents."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_NAMED", "Contents", "Copies", "Copy", "content_hash", "find_copies"]

MOST_NAMED = 1000
"""Copies that are kept by name; all are counted."""


@dataclass(frozen=True)
class Copy:
    """An image and the first one that it equals; names are relative to their splits."""

    name: str
    class_name: str
    original: str
    original_class_name: str


@dataclass(frozen=True)
class Copies:
    """Images that equal an earlier one, byte for byte or pixel for pixel.

    Args:
        count: how many; three equal images are two copies of the first.
        other_label: how many of them have another label than the first.
        named: the first ``MOST_NAMED`` of them.
    """

    count: int
    other_label: int
    named: tuple[Copy, ...]


@dataclass(frozen=True, eq=False)
class Contents:
    """What is needed to find equal images in a split: 16 bytes for each of the M that can be decoded.

    Args:
        hashes_M: 64 bits of each content. Two of 1.3 million different images have the same ones with a
            probability of 5e-8.
        indices_M: each one's place in the split.
        labels_N: labels of all images of the split.
        class_names: one per class, in label order.
        file_names: one per image; empty for a set in memory.
    """

    hashes_M: NDArray[np.uint64]
    indices_M: NDArray[np.int64]
    labels_N: NDArray[np.int64]
    class_names: tuple[str, ...]
    file_names: tuple[str, ...]

    def describe(self, place: int) -> tuple[str, str]:
        """(name, class name) of the image at this place among the M."""
        index = int(self.indices_M[place])
        label = int(self.labels_N[index])
        known = 0 <= label < len(self.class_names)
        name = self.file_names[index] if self.file_names else f"image {index}"
        return name, self.class_names[label] if known else f"label {label}"


def find_copies(first: Contents, second: Contents) -> Copies:
    """The images of ``second`` with an equal one in ``first``, or before them where both are the same."""
    if not len(first.hashes_M) or not len(second.hashes_M):
        return Copies(0, 0, ())
    distinct, places = np.unique(first.hashes_M, return_index=True)  # the place of the first of equal ones
    nearest = np.searchsorted(distinct, second.hashes_M).clip(max=len(distinct) - 1)
    originals_M = places[nearest]
    is_copy_M = distinct[nearest] == second.hashes_M
    if first is second:
        is_copy_M &= originals_M != np.arange(len(originals_M))
    copies, originals = np.flatnonzero(is_copy_M), originals_M[is_copy_M]
    labels = second.labels_N[second.indices_M[copies]]
    differ = labels != first.labels_N[first.indices_M[originals]]
    pairs = islice(zip(copies.tolist(), originals.tolist(), strict=True), MOST_NAMED)
    named = tuple(Copy(*second.describe(copy), *first.describe(original)) for copy, original in pairs)
    return Copies(len(copies), int(differ.sum()), named)


def content_hash(content: bytes | memoryview) -> int:
    """64 bits of a content, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
