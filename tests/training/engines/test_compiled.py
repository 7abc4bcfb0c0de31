from __future__ import annotations

import logging
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


def test_that_there_is_no_gpu_is_not_said_and_all_else_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module.torch, "compile", lambda net, **_: net)
    compiled(cifar_resnet(depth=8))
    logger = logging.getLogger("torch.utils.cpp_extension")  # whose words these are
    logger.warning("No CUDA runtime is found, using CUDA_HOME='%s'", "/usr/local/cuda")
    logger.warning("the compiler is too old")
    assert caplog.messages == ["the compiler is too old"]
