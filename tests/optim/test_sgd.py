"""SGD against the formula, worked in numpy: v = m v + (g + d w); w = w - lr v."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rescli.optim.sgd import sgd
from rescli.optim.specs import SgdSpec

LR, MOMENTUM, DECAY = 0.1, 0.9, 1e-2


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


def _gradients(net: nn.Module, num_steps: int) -> Iterator[list[torch.Tensor]]:
    """The same made-up gradients for every caller, in the order of the parameters."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(num_steps):
        yield [torch.randn(p.shape, generator=generator) for p in net.parameters()]


def _torch_steps(num_steps: int, **arguments: Any) -> list[np.ndarray]:
    net = _net()
    optimizer = sgd(net, lr=LR, weight_decay=DECAY, **arguments)
    for gradients in _gradients(net, num_steps):
        for parameter, gradient in zip(net.parameters(), gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
    return [parameter.detach().numpy() for parameter in net.parameters()]


def _formula_steps(
    num_steps: int, *, momentum: float, nesterov: bool, decay_weights_only: bool = False
) -> list[np.ndarray]:
    net = _net()
    weights = [p.detach().numpy().astype(np.float64) for p in net.parameters()]
    velocities = [np.zeros_like(w) for w in weights]
    for gradients in _gradients(net, num_steps):
        for i, gradient in enumerate(gradients):
            decays = weights[i].ndim > 1 or not decay_weights_only
            g = gradient.numpy() + (DECAY if decays else 0.0) * weights[i]
            velocities[i] = momentum * velocities[i] + g
            step = g + momentum * velocities[i] if nesterov else velocities[i]
            weights[i] = weights[i] - LR * step
    return weights


@pytest.mark.parametrize("num_steps", [1, 3])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay_weights_only", [False, True])
def test_updates_equal_the_formula(num_steps: int, nesterov: bool, decay_weights_only: bool) -> None:
    arguments = {"momentum": MOMENTUM, "nesterov": nesterov, "decay_weights_only": decay_weights_only}
    ours = _torch_steps(num_steps, **arguments)
    formula = _formula_steps(num_steps, **arguments)
    for mine, expected in zip(ours, formula, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-6)


def test_the_first_step_by_hand() -> None:
    """w = 2, g = 3, decay 0.01: v = 3 + 0.02 = 3.02; w = 2 - 0.1 x 3.02 = 1.698.

    Then g = 1: v = 0.9 x 3.02 + 1 + 0.01698 = 3.73498; w = 1.698 - 0.373498 = 1.324502.
    """
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 2.0)
    optimizer = sgd(net, lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.01)
    for gradient, expected in ((3.0, 1.698), (1.0, 1.324502)):
        net.weight.grad = torch.tensor([[gradient]])
        optimizer.step()
        assert net.weight.item() == pytest.approx(expected, abs=1e-6)


def test_without_momentum_or_decay_it_is_a_plain_step() -> None:
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 2.0)
    optimizer = sgd(net, lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)
    for expected in (1.9, 1.8, 1.7):
        net.weight.grad = torch.ones(1, 1)
        optimizer.step()
        assert net.weight.item() == pytest.approx(expected, abs=1e-6)


def test_groups_when_all_decay() -> None:
    net = _net()
    (group,) = sgd(net, lr=LR, momentum=MOMENTUM, nesterov=False, weight_decay=DECAY).param_groups
    assert len(group["params"]) == 5
    assert group["weight_decay"] == DECAY


def test_groups_when_weights_alone_decay() -> None:
    net = _net()
    arguments = {"lr": LR, "momentum": MOMENTUM, "nesterov": False, "weight_decay": DECAY}
    decaying, others = sgd(net, **arguments, decay_weights_only=True).param_groups
    assert {id(p) for p in decaying["params"]} == {id(net[0].weight), id(net[3].weight)}
    assert {id(p) for p in others["params"]} == {id(net[1].weight), id(net[1].bias), id(net[3].bias)}
    assert (decaying["weight_decay"], others["weight_decay"]) == (DECAY, 0.0)


@pytest.mark.parametrize(("decay", "num_groups"), [("all", 1), ("weights", 2)])
def test_the_spec_hands_over_every_field(decay: str, num_groups: int) -> None:
    spec = SgdSpec(lr=0.3, momentum=0.8, nesterov=True, weight_decay=0.02, decay=decay)  # type: ignore[arg-type]
    optimizer = spec.build(_net())
    assert len(optimizer.param_groups) == num_groups
    first = optimizer.param_groups[0]
    assert {key: first[key] for key in ("lr", "momentum", "nesterov", "weight_decay")} == {
        "lr": 0.3,
        "momentum": 0.8,
        "nesterov": True,
        "weight_decay": 0.02,
    }


def test_defaults_are_the_papers() -> None:
    """Section 4.2: weight decay 0.0001 and momentum 0.9; learning rate 0.1."""
    spec = SgdSpec()
    assert (spec.lr, spec.momentum, spec.nesterov, spec.weight_decay) == (0.1, 0.9, False, 1e-4)


def test_a_run_of_updates_is_torchs_own_to_the_last_bit() -> None:
    ours, theirs = _net(), _net()
    one = sgd(ours, lr=LR, momentum=MOMENTUM, nesterov=False, weight_decay=DECAY)
    other = torch.optim.SGD(theirs.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY, fused=True)
    for step, gradients in enumerate(_gradients(ours, 10)):
        for optimizer, net in ((one, ours), (other, theirs)):
            optimizer.param_groups[0]["lr"] = LR / (1 + step)
            for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()
            optimizer.zero_grad()
    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.grad is None
        assert torch.equal(mine, reference)
        assert torch.equal(one.state[mine]["momentum_buffer"], other.state[reference]["momentum_buffer"])


def test_a_parameter_without_gradient_rests() -> None:
    net = _net()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    optimizer = sgd(net, lr=LR, momentum=MOMENTUM, nesterov=False, weight_decay=DECAY)
    net[0].weight.grad = torch.ones_like(net[0].weight)
    optimizer.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]
    assert moved == [True, False, False, False, False]
