"""The forward pass of an evaluation, recorded once and replayed for every full batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from rescli.errors import first_line
from rescli.hardware.numerics import Numerics
from rescli.training.engines.capture import Capturer

__all__ = ["RecordedForward"]


class RecordedForward:
    """images (N, 3, H, W) -> logits (N, K): what the model gives, in fewer launches.

    The first batch of an evaluation decides the size that is recorded; batches of another size, such as the
    last, run eagerly, as do all where the pass cannot be recorded. The next call overwrites the logits.
    """

    def __init__(self, model: nn.Module, numerics: Numerics, capturer: Capturer) -> None:
        self._model, self._numerics, self._capturer = model, numerics, capturer
        self._replay: Callable[[], None] | None = None
        self._images: torch.Tensor | None = None
        self._logits: torch.Tensor | None = None
        self.why_slower: str | None = None
        """Why batches run eagerly, where they do."""

    def __call__(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """To be called without gradients, the model in evaluation mode."""
        if self._images is None:
            self._record(images_NCHW)
        assert self._images is not None
        if self._replay is None or images_NCHW.shape != self._images.shape:
            logits: torch.Tensor = self._model(images_NCHW)
            return logits
        self._images.copy_(images_NCHW)
        self._replay()
        assert self._logits is not None
        return self._logits

    def _record(self, images_NCHW: torch.Tensor) -> None:
        self._images = torch.empty_like(images_NCHW).copy_(images_NCHW)
        with self._capturer.aside():
            self._run()
        try:
            self._replay = self._capturer.record(self._run)
        except RuntimeError as error:
            self.why_slower = first_line(error)

    def _run(self) -> None:
        assert self._images is not None
        # A weight that was cast before the recording would be recorded as it was then.
        with self._numerics.autocast(keep_casts=False):
            self._logits = self._model(self._images)
