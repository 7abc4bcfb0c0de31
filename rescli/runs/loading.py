"""What a run reads: its images, their statistics, and its augmented batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from rescli.data.image_set import ImageSet
from rescli.data.labelled_images import LabelledImages
from rescli.data.loader import DeviceLoader
from rescli.data.normalization import Normalization
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.loader import PhotoLoader
from rescli.data.photos.probe import require_whole
from rescli.errors import DataError, NoMemoryError
from rescli.evaluation.images.photo_mean import measure_photos
from rescli.hardware.memory import is_out_of_memory
from rescli.hardware.numerics import Numerics
from rescli.hardware.ranks import Ranks
from rescli.hardware.threads.cores import usable_cores
from rescli.kernels.choice import KernelName
from rescli.remedy import Remedy
from rescli.spec.run import RunSpec

__all__ = ["Loader", "RunImages", "default_workers", "make_loader", "measure", "read_images"]


class Loader(Protocol):
    """Augmented training batches."""

    batch_size: int
    num_images: int
    damaged: set[str]
    """Names of the files that were skipped so far."""

    should_stop: Callable[[], bool]
    """Asked while a batch is waited for that does not come."""

    @property
    def waited_seconds(self) -> float | None:
        """The time that steps spent waiting for images so far; None where none can wait."""

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(images float32 NCHW, labels) on the device: a pure function of the step."""


@dataclass(frozen=True, eq=False)
class RunImages:
    """What a run trains on and validates on; the test part stays sealed.

    Attributes:
        train_set: the images that are trained on.
        val_set: the images that are set aside; None where there are none.
        normalization: the statistics of the training images; None where they were not to be measured.
        skipped: names of damaged images that the measuring left out.
    """

    train_set: ImageSet | ImageFiles
    val_set: ImageSet | ImageFiles | None
    normalization: Normalization | None
    skipped: frozenset[str] = frozenset()


def read_images(spec: RunSpec, data_root: Path | None, ranks: Ranks, *, measured: bool) -> RunImages:
    """Read the training and validation parts; photographs by the first rank, for all of them.

    Args:
        spec: what is trained.
        data_root: where the images lie.
        ranks: the processes that train it together.
        measured: whether the statistics are needed.

    Raises:
        DataError: files missing or damaged.
    """
    if spec.data.dataset.any_size:
        return ranks.from_first(lambda: _read(spec, data_root, measured))
    return _read(spec, data_root, measured)


def _read(spec: RunSpec, data_root: Path | None, measured: bool) -> RunImages:
    dataset = spec.data.dataset
    parts = ("train", "val") if dataset.sizes["val"] else ("train",)
    splits = dataset.build(data_root, parts)
    if not spec.data.skip_damaged:
        for split, images in splits.items():
            if isinstance(images, ImageFiles):
                # What val holds is known now, not when it is first evaluated.
                require_whole(images, split, decode=split == "val")
    train_set, val_set = splits["train"], splits.get("val")
    skipped: set[str] = set()
    normalization = None
    if measured:
        try:
            normalization = measure(train_set, spec, skipped)
        except DataError as error:
            if spec.data.skip_damaged:
                raise
            raise DataError(
                str(error),
                hint="replace or remove the file; or to go on without it",
                remedy=Remedy("data.skip_damaged"),
            ) from error
    val_set = val_set if val_set is not None and len(val_set) else None
    return RunImages(train_set, val_set, normalization, frozenset(skipped))


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
