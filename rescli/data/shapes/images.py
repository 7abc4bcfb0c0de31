"""The embedded image set: ten shapes at 32×32, painted from a seed, so that a run needs no download.

11 000 images take about a second on two cores. A split is a pure function of the seed, its name and its size:
neither the other splits nor the number of threads changes a byte.
"""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from rescli.data.image_set import ImageSet
from rescli.data.shapes.ahead import painted_ahead
from rescli.data.shapes.blocks import SHAPE_CLASSES, SPLITS, Block, blocks_of, shuffled_labels
from rescli.data.shapes.scene import IMAGE_SIZE
from rescli.errors import SpecError, UnknownNameError

__all__ = ["make_shapes"]


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
            raise UnknownNameError("split of the shapes set", split, SPLITS)
        if sizes[split] < 1:
            raise SpecError(
                f"the {split} split of the shapes set has {sizes[split]} images; it needs at least 1"
            )
    labels = {split: shuffled_labels(seed, split, sizes[split]) for split in splits}
    images = {split: np.empty((sizes[split], IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8) for split in splits}
    _paint(seed, labels, images)
    return {split: _image_set(images[split], labels[split]) for split in splits}


def _paint(seed: int, labels: dict[str, NDArray[np.int64]], images: dict[str, NDArray[np.uint8]]) -> None:
    """Fill the images of all splits, with what another process has painted of them by now."""
    blocks = [block for split in labels for block in blocks_of(seed, split, labels[split])]
    ahead = painted_ahead(seed, tuple((split, len(labels[split])) for split in labels))
    left, lock = list(blocks), threading.Lock()

    def next_block() -> Block | None:
        with lock:
            done = ahead.num_done() if ahead is not None else 0
            return left.pop() if len(left) > done else None

    def work() -> None:
        while (block := next_block()) is not None:
            images[block.split][block.rows_B] = block.paint()

    # The other process is as good as a thread.
    threads = max(1, torch.get_num_threads() - (ahead is not None))
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for job in [pool.submit(work) for _ in range(threads)]:
            job.result()
    if ahead is not None:
        ahead.stop()
        for block, painted in zip(left, ahead.images(left), strict=True):
            images[block.split][block.rows_B] = painted


def _image_set(images_NHWC: NDArray[np.uint8], labels_N: NDArray[np.int64]) -> ImageSet:
    fingerprint = hashlib.sha256(images_NHWC.data)
    fingerprint.update(labels_N.astype("<i8", copy=False).data)
    return ImageSet(
        images_NHWC=torch.from_numpy(images_NHWC),
        labels_N=torch.from_numpy(labels_N),
        class_names=SHAPE_CLASSES,
        fingerprint=fingerprint.hexdigest(),
    )
