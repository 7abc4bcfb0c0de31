"""The engine that runs anywhere: each operation is launched from Python, one step after another."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from rescli.hardware.numerics import Numerics
from rescli.hardware.ranks import ALONE, Ranks
from rescli.optim.sgd import Sgd
from rescli.training.state import TrainState
from rescli.training.step import train_step

__all__ = ["EagerEngine"]


class EagerEngine:
    """Advances a state by one iteration at a time."""

    def __init__(
        self,
        state: TrainState,
        batch: Callable[[int], tuple[torch.Tensor, torch.Tensor]],
        numerics: Numerics,
        ranks: Ranks = ALONE,
        *,
        model: nn.Module | None = None,
        name: str = "eager",
    ) -> None:
        """
        Args:
            batch: step -> (images float32 NCHW, labels), on the device, a pure function; of this rank.
            model: what runs in place of ``state.model``, on its parameters: a compiled one.
        """
        self.name = name
        self._state = state
        self._model = ranks.wrap(state.model if model is None else model)
        self._ranks = ranks
        self._batch = batch
        self._numerics = numerics
        self._lr: torch.Tensor | None = None
        if numerics.device.type == "cuda" and isinstance(state.optimizer, Sgd):
            # Where a recorded step reads it from, in the same float32: both engines compute the same bits.
            self._lr = torch.zeros((), device=numerics.device)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits of the network as it is now."""
        logits: torch.Tensor = self._state.model(images_NCHW)
        return logits

    def advance(self, lr: float) -> None:
        """Do one iteration at learning rate ``lr`` and write its figures into the ring."""
        state = self._state
        images_NCHW, labels_N = self._batch(state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = lr if self._lr is None else self._lr.fill_(lr)
        figures = train_step(self._model, state.optimizer, images_NCHW, labels_N, numerics=self._numerics)
        state.ring[state.window_length] = self._ranks.total(figures)
        state.step += 1
