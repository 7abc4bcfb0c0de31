"""Real images to hold an export against its checkpoint with, and the forward passes made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.image_set import ImageSet
from rescli.data.labelled_images import LabelledImages
from rescli.data.shapes.images import make_shapes
from rescli.errors import DataError
from rescli.evaluation.classes import Matching, class_columns
from rescli.evaluation.protocols import default_protocol
from rescli.evaluation.views import view_batches
from rescli.spec.base import DatasetSpec

__all__ = [
    "BATCH_SIZES",
    "SPLITS",
    "Pass",
    "Sample",
    "draw_sample",
    "normalised",
    "raw_passes",
    "stand_in_sample",
]

BATCH_SIZES = (1, 2, 7)
"""Each is tried: a batch dimension that was frozen or multiplied into another one shows."""

_REST = 32
_LONGEST = 16
"""Times as long as wide."""
SPLITS = ("val", "all", "train", "test")
"""The first that is there: the sealed test part only where there is nothing else."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Some images of a split, evenly spread over it.

    Args:
        images: the chosen ones.
        dataset: name of the data set.
        split: the part of it that they are taken from.
        columns: the network's output for each class of the images; None where their labels mean nothing
            to it.
    """

    images: LabelledImages
    dataset: str
    split: str
    columns: list[int] | None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def is_stand_in(self) -> bool:
        return self.columns is None

    def raw(self, index: int) -> Tensor:
        """uint8 (H, W, 3); of a sliver the middle, for an export resizes whole images."""
        pixels = self.images.pixels(index)
        longest = _LONGEST * min(pixels.shape[:2])
        top, left = (max(0, (side - longest) // 2) for side in pixels.shape[:2])
        return pixels[top : top + longest, left : left + longest]


@dataclass(frozen=True, eq=False)
class Pass:
    """One forward pass.

    Args:
        array: the images as the export takes them.
        inputs: the same images, normalised, float32 (B, 3, h, w).
        members: which images of the sample they are; None where they were cut to a common size.
    """

    array: Tensor
    inputs: Tensor
    members: range | None


def draw_sample(
    checkpoint: Checkpoint,
    *,
    dataset: DatasetSpec | None,
    matching: Matching,
    data_root: Path | None,
    count: int,
    splits: Sequence[str] = SPLITS,
) -> Sample:
    """At most ``count`` images of the first of ``splits`` that the set has.

    Args:
        dataset: another set than the checkpoint's own.

    Raises:
        DataError: images missing or damaged.
        CheckpointError: the images are of other classes than the network's.
    """
    chosen = checkpoint.dataset if dataset is None else dataset.seen_as(checkpoint.dataset)
    there = chosen.splits(data_root)
    split = next((name for name in splits if name in there), there[0])
    images = chosen.build(data_root, (split,))[split]
    columns = class_columns(checkpoint.class_names, images.class_names, matching)
    return Sample(_spread(images, count), chosen.kind, split, columns)


def stand_in_sample(count: int) -> Sample:
    """Embedded shapes, for where a set's own images are absent: real pixels, foreign classes."""
    images = make_shapes(seed=0, num_train=1, num_val=count, num_test=1, splits=("val",))["val"]
    return Sample(images, "shapes", "val", None)


def normalised(sample: Sample, checkpoint: Checkpoint, *, batch_size: int) -> Iterator[tuple[range, Tensor]]:
    """The single view of each image as ``rescli eval`` makes it: (which, float32 (B, 3, h, w)), in order.

    Raises:
        DataError: an image is damaged, or not of the size that the network was trained on.
    """
    dataset, size = checkpoint.dataset, checkpoint.dataset.image_size
    views = default_protocol(dataset).views(dataset)
    stacked = sample.images.stacked
    if not dataset.any_size and (stacked is None or stacked.shape[1] != size):
        raise DataError(
            f"{checkpoint.model.name} was trained on {size}x{size} images; those of {sample.dataset} are not."
        )
    made = view_batches(sample.images, views, checkpoint.normalization, batch_size=len(sample), device="cpu")
    parts = {index: row for batch in made for index, row in zip(batch.images, batch.inputs, strict=True)}
    for start in range(0, len(sample), batch_size):
        which = range(start, min(start + batch_size, len(sample)))
        yield which, torch.stack([parts[index] for index in which])


def raw_passes(sample: Sample, checkpoint: Checkpoint, *, raw: bool) -> Iterator[Pass]:
    """Batches of 1, 2 and 7, then of more: every image of the sample once.

    Args:
        raw: the export takes uint8 images. Photographs then go through one by one, each in its own size;
            for 2 and 7 at a time, some are cut to a common size besides.
    """
    if raw and checkpoint.dataset.any_size:
        for index in range(len(sample)):
            yield _raw_pass([sample.raw(index)], checkpoint, range(index, index + 1))
        for first, size in ((0, 2), (2, 7)):
            images = [sample.raw(index % len(sample)) for index in range(first, first + size)]
            height, width = (min(image.shape[side] for image in images) for side in (0, 1))
            yield _raw_pass([image[:height, :width] for image in images], checkpoint, None)
        return
    rows = torch.cat([inputs for _, inputs in normalised(sample, checkpoint, batch_size=_REST)])
    for which in _cut(len(sample)):
        inputs = rows[which.start : which.stop].contiguous()
        array = torch.stack([sample.raw(index) for index in which]) if raw else inputs
        yield Pass(array, inputs, which)


def _cut(count: int) -> Iterator[range]:
    start = 0
    for size in BATCH_SIZES:
        yield range(start, min(start + size, count))
        start += size
    for first in range(start, count, _REST):
        yield range(first, min(first + _REST, count))


def _raw_pass(images: list[Tensor], checkpoint: Checkpoint, members: range | None) -> Pass:
    array = torch.stack(images)
    labels = torch.zeros(len(images), dtype=torch.int64)
    alone = Sample(ImageSet(array, labels, ("?",), ""), "images", "all", None)
    ((_, inputs),) = normalised(alone, checkpoint, batch_size=len(images))
    return Pass(array, inputs, members)


def _spread(images: LabelledImages, count: int) -> LabelledImages:
    """``count`` of them at equal distances: folders are sorted by class, so every class has its share."""
    if len(images) <= count:
        return images
    chosen = torch.arange(count) * len(images) // count
    return images.subset(chosen)
