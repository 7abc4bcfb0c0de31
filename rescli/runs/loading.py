"""What a run reads while it trains: the statistics of its images and its augmented batches."""

from __future__ import annotations

from typing import Protocol

import torch

from rescli.data.image_set import ImageSet
from rescli.data.labelled_images import LabelledImages
from rescli.data.loader import DeviceLoader
from rescli.data.normalization import Normalization
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.loader import PhotoLoader
from rescli.errors import NoMemoryError
from rescli.evaluation.photo_mean import measure_photos
from rescli.hardware.cores import usable_cores
from rescli.hardware.memory import is_out_of_memory
from rescli.hardware.numerics import Numerics
from rescli.kernels.choice import KernelName
from rescli.spec.run import RunSpec

__all__ = ["Loader", "default_workers", "make_loader", "measure"]


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
