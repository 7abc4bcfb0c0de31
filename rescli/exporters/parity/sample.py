"""Real images to hold an export against its checkpoint with, and the forward passes made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.image_set import ImageSet
from rescli.data.labelled_images import LabelledImages
from rescli.data.shapes.images import make_shapes
from rescli.errors import DataError
from rescli.evaluation.classes import Matching, class_columns
from rescli.evaluation.images.views import view_batches
from rescli.evaluation.protocols import default_protocol
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
        too_small: parts that come before it and were left for it, and how many images each has.
    """

    images: LabelledImages
    dataset: str
    split: str
    columns: list[int] | None
    too_small: Mapping[str, int] = field(default_factory=dict)

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
        members: which images of the sample its first ones are, each of which is a member of one pass; those
            after them are repeated ones.
        whole: False where the images were cut to a common size.
    """

    array: Tensor
    inputs: Tensor
    members: range
    whole: bool = True


def draw_sample(
    checkpoint: Checkpoint,
    *,
    dataset: DatasetSpec | None,
    matching: Matching,
    data_root: Path | None,
    count: int,
    splits: Sequence[str] = SPLITS,
    least: int = 1,
) -> Sample:
    """At most ``count`` images of the first of ``splits`` that has enough of them, else of the largest.

    Args:
        checkpoint: the network's.
        dataset: another set than the checkpoint's own.
        matching: how the classes of its images belong to the network's.
        data_root: where the images lie; None for the usual places.
        count: how many, where there are so many.
        splits: parts of the set in the order of preference.
        least: how many are enough.

    Raises:
        DataError: images missing or damaged.
        CheckpointError: the images are of other classes than the network's.
    """
    chosen = checkpoint.dataset if dataset is None else dataset.seen_as(checkpoint.dataset)
    there = chosen.splits(data_root)
    # The sealed test part is for where there is nothing else.
    candidates = [name for name in splits if name in there and name != "test"] or [there[0]]
    found: dict[str, LabelledImages] = {}
    for split in candidates:
        found[split] = chosen.build(data_root, (split,))[split]
        if len(found[split]) >= least:
            break
    split = max(found, key=lambda name: min(len(found[name]), least))
    if not len(found[split]):
        raise DataError(f"{chosen.kind} has no images in {' and '.join(found)}.")
    columns = class_columns(checkpoint.class_names, found[split].class_names, matching)
    before = {name: len(found[name]) for name in found if name != split}
    return Sample(_spread(found[split], count), chosen.kind, split, columns, before)


def stand_in_sample(count: int, *, size: int | None = None) -> Sample:
    """Embedded shapes, for where a set's own images are absent: real pixels, foreign classes.

    Args:
        count: how many.
        size: their side in pixels, for nets that take no other; None for their own.
    """
    images = make_shapes(seed=0, num_train=1, num_val=count, num_test=1, splits=("val",))["val"]
    if size is not None and size != images.images_NHWC.shape[1]:
        nearest = torch.arange(size) * images.images_NHWC.shape[1] // size
        images = replace(images, images_NHWC=images.images_NHWC[:, nearest][:, :, nearest].contiguous())
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


def raw_passes(
    sample: Sample, checkpoint: Checkpoint, *, raw: bool, batch_size: int | None = None
) -> Iterator[Pass]:
    """Batches of 1, 2 and 7, then of more: every image of the sample at least once.

    Where there are fewer images than a batch takes, they are repeated.

    Args:
        sample: what the passes are made of.
        checkpoint: prepares the images.
        raw: the export takes uint8 images. Photographs then go through one by one, each in its own size;
            for 2 and 7 at a time, some are cut to a common size besides.
        batch_size: of every pass, where the export takes no other.
    """
    if raw and checkpoint.dataset.any_size:
        yield from _photo_passes(sample, checkpoint, batch_size)
        return
    rows = torch.cat([inputs for _, inputs in normalised(sample, checkpoint, batch_size=_REST)])
    for which, members in _cut(len(sample), batch_size):
        inputs = rows[which].contiguous()
        array = torch.stack([sample.raw(index) for index in which]) if raw else inputs
        yield Pass(array, inputs, members)


def _photo_passes(sample: Sample, checkpoint: Checkpoint, batch_size: int | None) -> Iterator[Pass]:
    count = len(sample)
    together = [(0, 2, range(0)), (2, 7, range(0))]  # once more: each had a pass of its own
    if batch_size is not None and batch_size > 1:
        together = [
            (first, batch_size, range(first, min(first + batch_size, count)))
            for first in range(0, count, batch_size)
        ]
    else:
        for index in range(count):
            yield _raw_pass([sample.raw(index)], checkpoint, range(index, index + 1))
    if batch_size == 1:
        return
    for first, size, members in together:
        images = [sample.raw(index % count) for index in range(first, first + size)]
        height, width = (min(image.shape[side] for image in images) for side in (0, 1))
        yield _raw_pass([image[:height, :width] for image in images], checkpoint, members, whole=False)


def _cut(count: int, batch_size: int | None) -> Iterator[tuple[list[int], range]]:
    """The images of each batch, some of them repeated, and which of them are there for the first time."""
    start = 0
    for size in () if batch_size else BATCH_SIZES:
        yield _filled(start, size, count)
        start += size
    for first in range(start, count, batch_size or _REST):
        size = batch_size or min(_REST, count - first)
        yield _filled(first, size, count)


def _filled(first: int, size: int, count: int) -> tuple[list[int], range]:
    members = range(min(first, count), min(first + size, count))
    return [index % count for index in range(first, first + size)], members


def _raw_pass(images: list[Tensor], checkpoint: Checkpoint, members: range, *, whole: bool = True) -> Pass:
    array = torch.stack(images)
    labels = torch.zeros(len(images), dtype=torch.int64)
    alone = Sample(ImageSet(array, labels, ("?",), ""), "images", "all", None)
    ((_, inputs),) = normalised(alone, checkpoint, batch_size=len(images))
    return Pass(array, inputs, members, whole)


def _spread(images: LabelledImages, count: int) -> LabelledImages:
    """``count`` of them at equal distances: folders are sorted by class, so every class has its share."""
    if len(images) <= count:
        return images
    chosen = torch.arange(count) * len(images) // count
    return images.subset(chosen)
