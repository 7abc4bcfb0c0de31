"""What a run reads while it trains: the statistics of its images and its augmented batches.

Also what is said where an image is damaged, or where they are no longer those that a run began with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch

from rescli.data.image_set import ImageSet
from rescli.data.labelled_images import LabelledImages
from rescli.data.loader import DeviceLoader
from rescli.data.normalization import Normalization
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.loader import PhotoLoader
from rescli.errors import DataError, NoMemoryError
from rescli.evaluation.photo_mean import measure_photos
from rescli.hardware.cores import usable_cores
from rescli.hardware.memory import is_out_of_memory
from rescli.hardware.numerics import Numerics
from rescli.kernels.choice import KernelName
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.spec.run import RunSpec

__all__ = [
    "Loader",
    "default_workers",
    "how_to_go_on",
    "make_loader",
    "measure",
    "other_images",
    "with_images_of_now",
]


class Loader(Protocol):
    """Augmented training batches."""

    batch_size: int
    num_images: int
    damaged: set[str]
    """Names of the files that were skipped so far."""

    @property
    def waited_seconds(self) -> float | None:
        """The time that steps spent waiting for images so far; None where none can wait."""

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(images float32 NCHW, labels) on the device: a pure function of the step."""


def measure(train_set: LabelledImages, spec: RunSpec, skipped: set[str]) -> Normalization:
    if train_set.stacked is not None:
        return Normalization.fit(train_set.stacked, spec.data.normalization)
    return measure_photos(
        train_set,
        spec.data.normalization,
        size=spec.data.dataset.image_size,
        skipped=skipped if spec.data.skip_damaged else None,
    )


def make_loader(
    train_set: ImageSet | ImageFiles,
    normalization: Normalization,
    spec: RunSpec,
    numerics: Numerics,
    workers: int | None,
    share: slice,
    *,
    kernels: KernelName,
) -> Loader:
    augment, data = spec.data.augment, spec.data
    if isinstance(train_set, ImageFiles):
        assert augment.shorter_side is not None, "the spec was validated"
        return PhotoLoader(
            train_set,
            normalization,
            batch_size=data.batch_size,
            seed=spec.seed,
            device=numerics.device,
            size=data.dataset.image_size,
            shorter_side=augment.shorter_side,
            flip=augment.flip,
            color=augment.color or 0.0,
            skip_damaged=bool(data.skip_damaged),
            workers=default_workers(numerics.device) if workers is None else workers,
            share=share,
        )
    try:
        return DeviceLoader(
            train_set,
            normalization,
            batch_size=data.batch_size,
            seed=spec.seed,
            device=numerics.device,
            pad=augment.pad,
            flip=augment.flip,
            share=share,
            kernels=kernels,
        )
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise NoMemoryError(f"the training images do not fit on {numerics.device}: {error}") from error


def default_workers(device: torch.device) -> int:
    """How many processes decode photographs where nobody says.

    Beside a GPU all cores but one, 16 at most; on the CPU, where training needs the cores itself, one.
    """
    return max(1, min(16, usable_cores() - 1)) if device.type == "cuda" else 1


def how_to_go_on(
    error: DataError,
    run_dir: RunDir,
    *,
    skipping: bool,
    saved_step: int | None,
    data_root: Path | None,
) -> DataError:
    """The error of a damaged image that stopped a run, with what gets past it.

    Args:
        error: what was wrong with the image.
        run_dir: the run.
        skipping: whether damaged images were to be left out, and there were too many.
        saved_step: the iteration whose state is saved; None where none is.
        data_root: where the images lie.
    """
    if skipping:
        return error
    saved = f"the state of iteration {saved_step} is saved" if saved_step else "no state was saved yet"
    return DataError(
        f"{error}; {saved}.",
        remedy=[
            Remedy("resume_skipping", run_dir.path, "goes on without damaged images"),
            Remedy("train_anew", run_dir.spec, "anew, once it is replaced or removed", data_root=data_root),
        ],
    )


def with_images_of_now(spec: RunSpec, data_root: Path | None) -> RunSpec:
    """The spec with the images counted anew, where their classes are still the same.

    Raises:
        DataError: they are not there.
    """
    now = spec.resolved(data_root)
    return now if now.data.dataset.class_names == spec.data.dataset.class_names else spec


def _changed(spec: RunSpec, now: RunSpec) -> str:
    before, after = spec.data.dataset.sizes, now.data.dataset.sizes
    counts = [
        f"{after.get(split, 0)} {split} images in place of {before.get(split, 0)}"
        for split in before
        if after.get(split, 0) != before.get(split, 0)
    ]
    return ", ".join(counts) or "they lie in other splits"


def other_images(
    run_dir: RunDir, spec: RunSpec, data_root: Path | None, *, now: RunSpec | None = None
) -> DataError:
    """The error where the images are not those that a run began with, and what can be done.

    Args:
        run_dir: the run.
        spec: what it trains.
        data_root: where the images lie.
        now: the spec with the images as they are counted now; None where their numbers are the same.
    """
    # Where val is drawn out of train, it would be drawn anew, of images that the weights have seen.
    held_out = getattr(spec.data.dataset, "held_out", False)
    anew = (
        Remedy("train_anew", run_dir.spec, "begins anew on these", data_root=data_root)
        if held_out
        else Remedy("train_on", run_dir.path, "a new run, with its weights", data_root=data_root)
    )
    what = "their fingerprints differ" if now is None else _changed(spec, now)
    return DataError(
        f"the images are not those that {run_dir.path} was trained on: {what}.",
        remedy=[Remedy("data_root", "DIR", "the data it began with"), anew],
    )
