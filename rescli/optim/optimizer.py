"""What training and resume ask of an optimizer; torch.optim's own have it, and so may a plugin's."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Protocol

import torch

__all__ = ["Optimizer"]


class Optimizer(Protocol):
    """``lr`` of every group is set before each step. ``state`` holds tensors and numbers per parameter."""

    param_groups: list[dict[str, Any]]
    state: MutableMapping[torch.Tensor, dict[str, Any]]

    def step(self) -> Any: ...

    def zero_grad(self) -> None: ...
