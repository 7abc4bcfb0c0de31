"""Where an export gets its images: those of the check, and those that static quantization measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import DataError
from rescli.evaluation.classes import Matching
from rescli.exporters.base import Options
from rescli.exporters.choices import LEAST_IMAGES
from rescli.exporters.parity.sample import SPLITS, Sample, draw_sample, raw_passes, stand_in_sample
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec

__all__ = ["ImageSource", "calibration_inputs"]

_SMALL_IMAGES, _PHOTOS = 1000, 100
"""Images of the check unless the user says else: of 32x32 and of any size."""

_TRAIN_FIRST = ("train", "all", "val", "test")
"""The parts of a data set in the order in which static quantization looks for its images."""


@dataclass(frozen=True)
class ImageSource:
    """Where the images of check and calibration come from.

    Args:
        checkpoint: the network's.
        dataset: another data set than the checkpoint's; None for that.
        classes: how its classes belong to the network's.
        data_root: where somebody said that the images lie.
        of_run: where the run had its images, for where nobody said so.
    """

    checkpoint: Checkpoint
    dataset: DatasetSpec | None
    classes: Matching
    data_root: Path | None
    of_run: Path | None

    def to_check(self, count: int | None, options: Options, warn: Callable[[str], None]) -> Sample:
        """Images of the checkpoint's set; where they are absent and nobody named a place, embedded ones."""
        of_checkpoint = self.checkpoint.dataset
        usual = _PHOTOS if of_checkpoint.any_size else _SMALL_IMAGES
        wanted = usual if count is None else count
        least = options.batch_size or LEAST_IMAGES
        try:
            sample = self._draw(wanted, SPLITS, least)
        except DataError as error:
            if self.data_root is not None or self.dataset is not None:
                raise
            warn(f"no real images of {of_checkpoint.kind} for the check: {error}")
            warn("embedded shapes are used instead; they show whether logits agree, not the error.")
            return stand_in_sample(wanted, size=None if of_checkpoint.any_size else of_checkpoint.image_size)
        takes = (
            f"a batch of {least} takes" if options.batch_size else "the check's batches of 1, 2 and 7 take"
        )
        for split, few in sample.too_small.items():
            warn(
                f"{sample.dataset} {split} has {counted(few, 'image')}, fewer than {takes}; {sample.split} "
                "is used."
            )
        if len(sample) < least:
            warn(
                f"{sample.dataset} {sample.split} has {counted(len(sample), 'image')}, fewer than {takes}; "
                "they are repeated, each counts once, and so few say little."
            )
        return sample

    def to_calibrate(self, count: int, warn: Callable[[str], None]) -> Sample:
        """Images for static quantization, of the training part."""
        try:
            sample = self._draw(count, _TRAIN_FIRST, 1)
        except DataError as error:
            raise DataError(
                f"static quantization needs images of {self.checkpoint.dataset.kind} to measure activations: "
                f"{error}",
                remedy=[
                    Remedy("data_root", "DIR", "where they are"),
                    Remedy("quantization", "dynamic", "or this: it needs none"),
                ],
            ) from error
        if len(sample) < count:
            warn(
                f"{sample.dataset} {sample.split} has {counted(len(sample), 'image')} to measure activations "
                f"on, not {count}; all of them are used."
            )
        return sample

    def _draw(self, count: int, splits: tuple[str, ...], least: int) -> Sample:
        return draw_sample(
            self.checkpoint,
            dataset=self.dataset,
            matching=self.classes,
            data_root=self.data_root or (self.of_run if self.dataset is None else None),
            count=count,
            splits=splits,
            least=least,
        )


def calibration_inputs(sample: Sample | None, checkpoint: Checkpoint, options: Options) -> Sequence[Tensor]:
    """Inputs of static quantization, as the exported network takes them."""
    if sample is None:
        return []
    raw, batch_size = options.with_preprocessing, options.batch_size
    return [one.array for one in raw_passes(sample, checkpoint, raw=raw, batch_size=batch_size)]
