"""Everything that a training run carries from one iteration to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from rescli.optim.optimizer import Optimizer
from rescli.optim.schedules import Trigger

__all__ = ["TrainState"]


@dataclass
class TrainState:
    """Model and optimizer, and the few numbers beside them. All randomness follows from ``step``.

    step: finished iterations. ring: float32 (metrics_every, 2) on the device: loss and number of
    correct images of each iteration since ``window_start``. evaluation_due: whether that of ``step`` was not
    made, or left. train_seconds and window_seconds (since
    ``window_start``): evaluation excluded.
    """

    model: nn.Module
    optimizer: Optimizer
    ring: torch.Tensor
    step: int = 0
    evaluation_due: bool = False
    window_start: int = 0
    trigger: Trigger = field(default_factory=dict)
    best_val_error: float | None = None
    best_step: int | None = None
    train_seconds: float = 0.0
    window_seconds: float = 0.0

    @property
    def window_length(self) -> int:
        """Rows of the ring that are filled."""
        return self.step - self.window_start
