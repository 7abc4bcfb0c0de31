"""SGD with momentum, its parameters grouped by who decays."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import torch
from torch import nn
from torch.optim.sgd import sgd as sgd_update

__all__ = ["Sgd", "sgd"]


class Sgd:
    """torch.optim.SGD's fused update, bit for bit, without the rest of its class.

    The class would import torch's compiler when it is made, about two seconds that every command
    would wait for. It offers what training and resume need of an optimizer: ``param_groups``,
    ``state``, ``step`` and ``zero_grad``.
    """

    def __init__(self, param_groups: list[dict[str, Any]]) -> None:
        """param_groups: ``params`` (list) and ``lr``, ``momentum``, ``nesterov``, ``weight_decay`` each."""
        self.param_groups = param_groups
        self.state: MutableMapping[torch.Tensor, dict[str, Any]] = {
            # Zeros from the start: the first step needs no case of its own, in a captured graph either.
            parameter: {"momentum_buffer": torch.zeros_like(parameter)} if group["momentum"] else {}
            for group in param_groups
            for parameter in group["params"]
        }

    @torch.no_grad()
    def step(self) -> None:
        """v = momentum v + (gradient + weight_decay w); w = w - lr v. A parameter without gradient rests."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            sgd_update(
                parameters,
                [parameter.grad for parameter in parameters],
                [self.state[parameter].get("momentum_buffer") for parameter in parameters],
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                lr=group["lr"],
                dampening=0.0,
                nesterov=group["nesterov"],
                maximize=False,
                fused=True,
            )

    def zero_grad(self) -> None:
        """Forget the gradients and their memory."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None


def sgd(
    model: nn.Module,
    *,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    decay_weights_only: bool = False,
) -> Sgd:
    """The paper's optimizer (sections 3.4 and 4.2) on all parameters of ``model``.

    decay_weights_only: convolution and linear weights decay, biases and batch norm do not.
    """
    shared = {"lr": lr, "momentum": momentum, "nesterov": nesterov}
    parameters = list(model.parameters())
    if not decay_weights_only:
        return Sgd([{"params": parameters, "weight_decay": weight_decay, **shared}])
    weights, others = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
    return Sgd(
        [
            {"params": weights, "weight_decay": weight_decay, **shared},
            {"params": others, "weight_decay": 0.0, **shared},
        ]
    )
