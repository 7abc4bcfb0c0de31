"""The engine that runs anywhere: each operation is launched from Python, one step after another."""

from __future__ import annotations

from collections.abc import Callable

import torch

from rescli.training.precision import Numerics
from rescli.training.ranks import ALONE, Ranks
from rescli.training.state import TrainState
from rescli.training.step import train_step

__all__ = ["EagerEngine"]


class EagerEngine:
    """Advances a state by one iteration at a time."""

    name = "eager"

    def __init__(
        self,
        state: TrainState,
        batch: Callable[[int], tuple[torch.Tensor, torch.Tensor]],
        numerics: Numerics,
        ranks: Ranks = ALONE,
    ) -> None:
        """batch: step -> (images float32 NCHW, labels), on the device, a pure function; of this rank."""
        self._state = state
        self._model = ranks.wrap(state.model)
        self._ranks = ranks
        self._batch = batch
        self._numerics = numerics

    def advance(self, lr: float) -> None:
        """Do one iteration at learning rate ``lr`` and write its figures into the ring."""
        state = self._state
        images_NCHW, labels_N = self._batch(state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = lr
        figures = train_step(self._model, state.optimizer, images_NCHW, labels_N, numerics=self._numerics)
        state.ring[state.window_length] = self._ranks.total(figures)
        state.step += 1
