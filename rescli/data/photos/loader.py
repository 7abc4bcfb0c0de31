"""Training batches from image files: decoded ahead in worker processes, finished on the device.

Which images a batch has, and how each is cut, follows from the step alone, so the number of workers changes
nothing. Memory: each worker keeps two batches of bytes ahead, ``2 * workers * batch_size * S * S * 3``
(308 MB for 4 workers, 256 images, S = 224).
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from rescli.data.normalization import Normalization
from rescli.data.order import SampleOrder
from rescli.data.photos.augment import PhotoFinish, crop_pixels, draw_photos
from rescli.data.photos.image_files import ImageFiles
from rescli.errors import DataError
from rescli.remedy import Remedy

__all__ = ["PhotoLoader"]

_AHEAD = 2
"""Batches that each worker keeps ready."""

_TRIES = 8
"""Neighbours looked at in place of a damaged image."""


@dataclass(frozen=True, eq=False)
class _Batch:
    """One batch as a worker hands it over.

    Args:
        damaged: names of the files that were skipped.
        failure: why there are no pixels.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    flipped: torch.Tensor
    shift: torch.Tensor
    damaged: tuple[str, ...] = ()
    failure: str | None = None

    def pin_memory(self) -> _Batch:
        """torch's name for what it calls where the device is a GPU."""
        return replace(
            self,
            pixels=self.pixels.pin_memory(),
            labels=self.labels.pin_memory(),
            flipped=self.flipped.pin_memory(),
            shift=self.shift.pin_memory(),
        )


class PhotoLoader:
    """Augmented training batches; ``batch(step)`` is a pure function of the step."""

    def __init__(
        self,
        files: ImageFiles,
        normalization: Normalization,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        size: int,
        shorter_side: tuple[int, int],
        flip: bool,
        color: float,
        skip_damaged: bool,
        workers: int,
        share: slice = slice(None),
    ) -> None:
        """Begin with no worker; ``batch`` starts them.

        Args:
            files: the training part.
            normalization: its statistics.
            batch_size: images per step, of all processes together.
            seed: decides order, crops, flips and colours.
            device: where the batches are to be.
            size: side of the crops, in pixels.
            shorter_side: smallest and largest shorter side that an image is resized to, in pixels.
            flip: mirror half of the images.
            color: standard deviation of the colour shift; 0 leaves colours alone.
            skip_damaged: take the next image that is whole instead of raising.
            workers: processes that decode; 0 decodes in this one.
            share: the places of each batch that this process computes; all of them unless several train.
        """
        self.batch_size = batch_size
        self.num_images = len(files)
        self.waited_seconds = 0.0
        """The time that ``batch`` spent waiting for images, since the beginning."""
        self.damaged: set[str] = set()
        """Names of the files that were skipped so far."""
        self._device = torch.device(device)
        self._finish = PhotoFinish(normalization, height=size, width=size, device=self._device)
        self._workers = workers
        self._batches = _Batches(
            files,
            SampleOrder(len(files), batch_size=batch_size, seed=seed),
            size=size,
            shorter_side=shorter_side,
            flip=flip,
            color=color,
            skip_damaged=skip_damaged,
            share=share,
        )
        self._ahead: Iterator[_Batch] | None = None
        self._next_step = -1

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """``(images_NCHW, labels_B)`` of the step: float32 in channels-last, and int64, on the device.

        Steps in order come from the workers; another step begins anew there.

        Raises:
            DataError: an image is missing or damaged, and none is to be skipped.
        """
        began = time.perf_counter()
        if self._ahead is None or step != self._next_step:
            self._ahead = self._from(step)
        made = next(self._ahead)
        self.waited_seconds += time.perf_counter() - began
        self._next_step = step + 1
        self.damaged.update(made.damaged)
        if made.failure is not None:
            self.close()
            raise DataError(
                made.failure,
                remedy=[
                    Remedy("verify_data", note="names all of them"),
                    Remedy("data.skip_damaged", note="goes on without them"),
                ],
            )
        pixels, labels, flipped, shift = (
            tensor.to(self._device, non_blocking=True)
            for tensor in (made.pixels, made.labels, made.flipped, made.shift)
        )
        return self._finish(pixels, flipped, shift), labels

    def close(self) -> None:
        """End the workers; the next ``batch`` begins others."""
        self._ahead, self._next_step = None, -1

    def _from(self, step: int) -> Iterator[_Batch]:
        self.close()  # before others are begun
        loader = DataLoader(
            self._batches,
            batch_size=None,
            sampler=range(step, sys.maxsize),
            collate_fn=_as_it_is,  # type: ignore[arg-type]
            num_workers=self._workers,
            prefetch_factor=_AHEAD if self._workers else None,
            pin_memory=self._device.type == "cuda",
            # Forked workers share the list of files; a spawned one would read torch for seconds.
            multiprocessing_context="fork" if self._workers and sys.platform == "linux" else None,
        )
        with warnings.catch_warnings():
            # Python 3.12 on, for a process with threads that forks: the workers compute in one of their own.
            warnings.simplefilter("ignore", DeprecationWarning)
            return iter(loader)


class _Batches(Dataset[_Batch]):
    """``self[step]``, in whichever process."""

    def __init__(
        self,
        files: ImageFiles,
        order: SampleOrder,
        *,
        size: int,
        shorter_side: tuple[int, int],
        flip: bool,
        color: float,
        skip_damaged: bool,
        share: slice,
    ) -> None:
        self._share = share
        self._files, self._order, self._size = files, order, size
        self._shorter_side, self._flip, self._color = shorter_side, flip, color
        self._skip_damaged = skip_damaged

    def __getitem__(self, step: int) -> _Batch:
        indices_B, slots_B = (part[self._share] for part in self._order.batch(step))
        draws = draw_photos(
            slots_B,
            seed=self._order.seed,
            shorter_side=self._shorter_side,
            flip=self._flip,
            color=self._color,
        )
        size = self._size
        pixels = np.empty((len(slots_B), size, size, 3), np.uint8)
        labels = np.empty(len(slots_B), np.int64)
        cuts = zip(draws.sides_B.tolist(), draws.top_B.tolist(), draws.left_B.tolist(), strict=True)
        damaged: list[str] = []
        failure = None
        for place, (index, (side, top, left)) in enumerate(zip(indices_B.tolist(), cuts, strict=True)):
            try:
                found, image = self._whole(index, damaged)
                pixels[place] = crop_pixels(image, side=side, top=top, left=left, size=size)
            except DataError as error:
                failure = str(error)
                break
            labels[place] = self._files.labels_N[found]
        return _Batch(
            torch.from_numpy(pixels),
            torch.from_numpy(labels),
            draws.flip_B.nonzero().flatten(),
            draws.shift_BC,
            tuple(damaged),
            failure,
        )

    def _whole(self, index: int, damaged: list[str]) -> tuple[int, Image.Image]:
        """The image, or where it is damaged and may be skipped, the next one that is whole; and its index."""
        if not self._skip_damaged:
            return index, self._files.image(index)
        for attempt in range(_TRIES):
            candidate = (index + attempt) % len(self._files)
            try:
                return candidate, self._files.image(candidate)
            except DataError:
                damaged.append(self._files.file_names[candidate])
        raise DataError(f"{_TRIES} images in a row are damaged, the last {damaged[-1]}.")


def _as_it_is(batch: _Batch) -> _Batch:
    return batch
