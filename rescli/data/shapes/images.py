"""The embedded image set: ten shapes at 32×32, painted from a seed, so that a run needs no download.

11 000 images take about a second on two cores. A split is a pure function of the seed, its name and its size:
neither the other splits nor the number of threads changes a byte.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from rescli.data.image_set import ImageSet
from rescli.data.shapes.geometry import SILHOUETTES
from rescli.data.shapes.scene import IMAGE_SIZE, paint_block
from rescli.errors import SpecError, UnknownNameError

__all__ = ["SHAPE_CLASSES", "make_shapes"]

SHAPE_CLASSES: tuple[str, ...] = tuple(SILHOUETTES)

_SPLITS = ("train", "val", "test")
# Part of every generator's key, so their order must never change: train 0, val 1, test 2.

_BLOCK_SIZE = 64
# Images painted at once: a plane of 64 images is 256 KiB, so the planes in use stay in the cache.


def make_shapes(
    *, seed: int, num_train: int, num_val: int, num_test: int, splits: tuple[str, ...]
) -> dict[str, ImageSet]:
    """Paint the asked splits of the shapes set.

    Args:
        seed: any integer from 0; another seed gives another set.
        num_train: images in ``train``; likewise ``num_val`` and ``num_test``. Classes are balanced: their
            counts differ by at most one.
        splits: which of ``train``, ``val`` and ``test`` to make; the others cost nothing.

    Returns:
        One ImageSet per asked split, in the order asked: images (N, 32, 32, 3), classes in shuffled order.

    Raises:
        SpecError: the seed is negative, or an asked split would be empty.
        UnknownNameError: no such split.
    """
    if seed < 0:
        raise SpecError(f"the seed of the shapes set is {seed}; it must be 0 or more")
    sizes = {"train": num_train, "val": num_val, "test": num_test}
    for split in splits:
        if split not in sizes:
            raise UnknownNameError("split of the shapes set", split, _SPLITS)
        if sizes[split] < 1:
            raise SpecError(
                f"the {split} split of the shapes set has {sizes[split]} images; it needs at least 1"
            )
    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        return {split: _make_split(pool, seed, split, sizes[split]) for split in splits}


def _make_split(pool: ThreadPoolExecutor, seed: int, split: str, num_images: int) -> ImageSet:
    labels_N = _shuffled_labels(seed, split, num_images)
    images_NHWC = np.empty((num_images, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)

    def fill(label: int, block: int, rows_B: NDArray[np.intp]) -> None:
        rng = _generator(seed, split, label, block)
        images_NHWC[rows_B] = paint_block(rng, class_name=SHAPE_CLASSES[label], num_images=len(rows_B))

    jobs = []
    for label in range(len(SHAPE_CLASSES)):
        rows_of_class = np.flatnonzero(labels_N == label)
        for block, start in enumerate(range(0, len(rows_of_class), _BLOCK_SIZE)):
            jobs.append(pool.submit(fill, label, block, rows_of_class[start : start + _BLOCK_SIZE]))
    for job in jobs:
        job.result()
    fingerprint = hashlib.sha256(images_NHWC.data)
    fingerprint.update(labels_N.astype("<i8", copy=False).data)
    return ImageSet(
        images_NHWC=torch.from_numpy(images_NHWC),
        labels_N=torch.from_numpy(labels_N),
        class_names=SHAPE_CLASSES,
        fingerprint=fingerprint.hexdigest(),
    )


def _shuffled_labels(seed: int, split: str, num_images: int) -> NDArray[np.int64]:
    rng = _generator(seed, split)
    balanced_N = np.arange(num_images, dtype=np.int64) % len(SHAPE_CLASSES)
    return balanced_N[np.argsort(rng.random(num_images), kind="stable")]


def _generator(seed: int, split: str, *key: int) -> np.random.Generator:
    """The random generator of one split, or of one block of one class in it; no two share a key."""
    sequence = np.random.SeedSequence(seed, spawn_key=(_SPLITS.index(split), *key))
    return np.random.Generator(np.random.PCG64(sequence))
