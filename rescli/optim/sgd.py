"""SGD with momentum, its parameters grouped by who decays."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["sgd"]


def sgd(
    model: nn.Module,
    *,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    decay_weights_only: bool = False,
) -> torch.optim.SGD:
    """PyTorch's SGD, fused: v = momentum v + (gradient + weight_decay w); w = w - lr v.

    decay_weights_only: convolution and linear weights decay, biases and batch norm do not.
    """
    parameters = list(model.parameters())
    if decay_weights_only:
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
    else:
        groups = [{"params": parameters, "weight_decay": weight_decay}]
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=True)
