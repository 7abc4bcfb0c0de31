"""Folding batch normalisation: the same function, by the formula, in any network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rescli.exporters.fold import fold_batch_norm


@pytest.mark.parametrize(
    ("name", "given"), [("resnet-8", {"shortcut": s}) for s in "ABC"] + [("plain-8", {})]
)
def test_the_function_stays(checkpoint_of: Callable[..., Any], name: str, given: dict[str, str]) -> None:
    net = checkpoint_of(name, **given).build_model().double()
    images = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    before = net(images)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    assert fold_batch_norm(net, images[:1]) == norms > 0
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    torch.testing.assert_close(net(images), before, rtol=1e-12, atol=1e-12)


def test_the_formula() -> None:
    conv, norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=0.3)
    nn.init.uniform_(norm.weight)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    net = nn.Sequential(conv, norm).eval()
    weight, scale = conv.weight.detach().clone(), norm.weight / (norm.running_var + 0.3).sqrt()
    fold_batch_norm(net, torch.zeros(1, 3, 5, 5))
    torch.testing.assert_close(net[0].weight, weight * scale.view(-1, 1, 1, 1))
    torch.testing.assert_close(net[0].bias, norm.bias - norm.running_mean * scale)


def test_one_that_follows_no_convolution_stays() -> None:
    """Pre-activation: norm, ReLU, convolution."""
    net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    images = torch.rand(2, 3, 4, 4)
    before = net(images)
    assert fold_batch_norm(net, images) == 0
    assert net(images).equal(before)
