"""Training batches from image files: decoded ahead in worker processes, finished on the device.

Which images a batch has, and how each is cut, follows from the step alone, so the number of workers changes
nothing, and workers that were lost are begun anew. Memory: each worker keeps two batches of bytes ahead,
``2 * workers * batch_size * S * S * 3`` (308 MB for 4 workers, 256 images, S = 224).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from rescli.data.normalization import Normalization
from rescli.data.order import SampleOrder
from rescli.data.photos.augment import PhotoFinish, crop_pixels, draw_photos
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.workers import WorkerLost, Workers
from rescli.errors import DataError, Interrupted, LostWorkersError
from rescli.remedy import Remedy

__all__ = ["PhotoLoader"]

_log = logging.getLogger(__name__)

_SILENT_SECONDS = 30.0
"""How long a batch may take before it is said that training waits for it."""

_LAST_SECONDS = 3
"""How long a batch is waited for once training is to stop."""

_TRIES = 8
"""Neighbours looked at in place of a damaged image."""

_LOSSES, _WITHIN_STEPS = 4, 100
"""So many lost workers within so many steps are too many to go on."""

_FEWER = "fewer processes that decode, or none beside the one that trains, need less memory"


@dataclass(frozen=True, eq=False)
class _Batch:
    """What belongs to the pixels of a batch, as a worker hands it over.

    Args:
        labels: int64.
        flipped: int64, which of the images are mirrored.
        shift: float32 (B, 3), the colour shift.
        damaged: names of the files that were skipped.
        failure: why there are no pixels.
    """

    labels: np.ndarray
    flipped: np.ndarray
    shift: np.ndarray
    damaged: tuple[str, ...] = ()
    failure: str | None = None


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
        self.should_stop: Callable[[], bool] = lambda: False
        """Asked while ``batch`` waits for images that do not come."""
        self._root = files.root
        self._device = torch.device(device)
        self._finish = PhotoFinish(normalization, height=size, width=size, device=self._device)
        self._workers = workers
        self._skip_damaged = skip_damaged
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
        self._ahead: Workers[_Batch] | None = None
        self._next_step = -1
        self._asked_seconds, self._said_seconds = 0, 0.0
        self._lost_at: deque[int] = deque(maxlen=_LOSSES)
        """The steps at which a worker was lost."""

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """``(images_NCHW, labels_B)`` of the step: float32 in channels-last, and int64, on the device.

        Steps in order come from the workers; another step begins anew there.

        Raises:
            DataError: an image is missing or damaged, and none is to be skipped.
        """
        began = time.perf_counter()
        made, pixels = self._take(step)
        self.waited_seconds += time.perf_counter() - began
        self._next_step = step + 1
        self.damaged.update(made.damaged)
        if made.failure is not None:
            self.close()
            way = Remedy("data.skip_damaged", note="goes on without damaged images")
            raise DataError(
                made.failure, remedy=() if self._skip_damaged else way, page="damaged-photographs"
            )
        images, labels, flipped, shift = (
            self._on_device(part) for part in (pixels, made.labels, made.flipped, made.shift)
        )
        finished = self._finish(images, flipped, shift)
        if self._ahead is not None:
            self._ahead.give_back()
        return finished, labels

    def close(self) -> None:
        """End the workers; the next ``batch`` begins others."""
        if self._ahead is not None:
            self._ahead.close()
        self._ahead, self._next_step = None, -1

    def _on_device(self, part: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(part)
        if self._device.type == "cuda":
            tensor = tensor.pin_memory()  # a copy, which the device fetches while the host goes on
        return tensor.to(self._device, non_blocking=True)

    def _take(self, step: int) -> tuple[_Batch, np.ndarray]:
        """The batch of a step and its uint8 pixels, which are the workers' to write again once given back.

        Raises:
            LostWorkersError: workers were lost again and again, or cannot be begun.
        """
        if not self._workers:
            pixels = np.empty(self._batches.shape, np.uint8)
            return self._batches(step, pixels), pixels
        while True:
            try:
                if self._ahead is None or step != self._next_step:
                    self.close()  # before others are begun
                    self._ahead = Workers(
                        self._batches, self._batches.shape, first_step=step, count=self._workers
                    )
                    self._next_step = step
                return self._ahead.take(self._waiting)
            except WorkerLost as lost:
                self.close()
                self._note_loss(step, lost)
            except OSError as error:
                self.close()
                raise LostWorkersError(
                    f"{self._workers} processes that decode photographs cannot be begun: {error.strerror}.",
                    hint=_FEWER,
                ) from error

    def _waiting(self, seconds: float) -> None:
        """Say that images do not come, each time after twice as long; or stop.

        Raises:
            Interrupted: it is asked to stop, and they still do not come.
        """
        self._asked_seconds = self._asked_seconds + 1 if self.should_stop() else 0
        if self._asked_seconds > _LAST_SECONDS:
            self.close()
            raise Interrupted("stopped while it waited for images.", clean=True)
        if seconds < _SILENT_SECONDS:
            self._said_seconds = 0.0
        elif seconds >= 2 * self._said_seconds:
            self._said_seconds = seconds
            _log.warning(
                "iteration %d waits for its images, %.0f s so far: the disk or network of %s may not answer",
                *(self._next_step, seconds, self._root),
            )

    def _note_loss(self, step: int, lost: WorkerLost) -> None:
        """Say that workers are begun anew, unless they are lost again and again.

        Raises:
            LostWorkersError: they are.
        """
        what = f"a process that decodes photographs {lost} at iteration {step}"
        cause = ", as happens where memory runs out" if lost.killed else ""
        self._lost_at.append(step)
        if len(self._lost_at) == _LOSSES and step - self._lost_at[0] < _WITHIN_STEPS:
            raise LostWorkersError(
                f"{what}{cause}; {_LOSSES} were lost within {_WITHIN_STEPS} iterations.", hint=_FEWER
            )
        _log.warning("%s%s; begun anew, nothing is lost. Should it go on, %s.", what, cause, _FEWER)


class _Batches:
    """Makes the batch of a step, in whichever process: a pure function."""

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
        self.shape = (len(range(order.batch_size)[share]), size, size, 3)
        """Shape of the pixels of a batch."""

    def __call__(self, step: int, pixels: np.ndarray) -> _Batch:
        """Write the pixels of the step's batch; returns what belongs to them."""
        indices_B, slots_B = (part[self._share] for part in self._order.batch(step))
        draws = draw_photos(
            slots_B,
            seed=self._order.seed,
            shorter_side=self._shorter_side,
            flip=self._flip,
            color=self._color,
        )
        size = self._size
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
            labels,
            draws.flip_B.nonzero().flatten().numpy(),
            draws.shift_BC.numpy(),
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
        raise DataError(
            f"{_TRIES} images in a row are damaged, the last {damaged[-1]}.", page="damaged-photographs"
        )
