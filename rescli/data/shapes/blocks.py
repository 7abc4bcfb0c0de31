"""The blocks that the shapes set is painted in, each from a generator of its own. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rescli.data.shapes.geometry import SILHOUETTES
from rescli.data.shapes.scene import paint_block

__all__ = ["SHAPE_CLASSES", "SPLITS", "Block", "blocks_of", "shuffled_labels"]

SHAPE_CLASSES: tuple[str, ...] = tuple(SILHOUETTES)

SPLITS = ("train", "val", "test")
"""Part of every generator's key, so their order must never change: train 0, val 1, test 2."""

_BLOCK_SIZE = 64
# Images painted at once: a plane of 64 images is 256 KiB, so the planes in use stay in the cache.


@dataclass(frozen=True, eq=False)
class Block:
    """Images of one class that are painted together.

    Attributes:
        seed: of the set.
        split: whose images they are.
        label: their class.
        number: of the block within its class.
        rows_B: where they stand in the split.
    """

    seed: int
    split: str
    label: int
    number: int
    rows_B: NDArray[np.intp]

    def paint(self) -> NDArray[np.uint8]:
        """The images (B, 32, 32, 3); always the same."""
        rng = _generator(self.seed, self.split, self.label, self.number)
        return paint_block(rng, class_name=SHAPE_CLASSES[self.label], num_images=len(self.rows_B))


def blocks_of(seed: int, split: str, labels_N: NDArray[np.int64]) -> list[Block]:
    """All blocks of a split."""
    blocks = []
    for label in range(len(SHAPE_CLASSES)):
        rows_of_class = np.flatnonzero(labels_N == label)
        for number, start in enumerate(range(0, len(rows_of_class), _BLOCK_SIZE)):
            blocks.append(Block(seed, split, label, number, rows_of_class[start : start + _BLOCK_SIZE]))
    return blocks


def shuffled_labels(seed: int, split: str, num_images: int) -> NDArray[np.int64]:
    """The classes (N,) of a split, balanced and shuffled."""
    rng = _generator(seed, split)
    balanced_N = np.arange(num_images, dtype=np.int64) % len(SHAPE_CLASSES)
    return balanced_N[np.argsort(rng.random(num_images), kind="stable")]


def _generator(seed: int, split: str, *key: int) -> np.random.Generator:
    """The random generator of one split, or of one block of one class in it; no two share a key."""
    sequence = np.random.SeedSequence(seed, spawn_key=(SPLITS.index(split), *key))
    return np.random.Generator(np.random.PCG64(sequence))
