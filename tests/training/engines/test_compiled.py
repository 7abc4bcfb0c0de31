from __future__ import annotations

from typing import Any

import pytest
import torch

from rescli.models.resnet import cifar_resnet
from rescli.training.engines import compiled as module
from rescli.training.engines.compiled import compiled


def test_a_small_net_is_compiled_whole_and_shares_its_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(module.torch, "compile", lambda net, **options: (asked.append(options), net)[1])
    net = cifar_resnet(depth=8, width=2)
    assert compiled(net) is net
    assert asked == [{"dynamic": False}]


def test_a_deep_net_is_compiled_block_by_block_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda block, **_: asked.append(block))
    net = cifar_resnet(depth=74, width=2)
    names = list(net.state_dict())
    assert compiled(net) is net
    assert len(asked) == 36
    assert list(net.state_dict()) == names
