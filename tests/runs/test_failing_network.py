"""A plugin's network that raises: the run and the evaluation say so in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import nn

from rescli import registry
from rescli.spec.base import ModelSpec

FLAGS = [
    *("shapes/base", "--iterations", "6", "--batch-size", "16", "--device", "cpu", "--precision", "fp32"),
    *("--set", "data.dataset.num_train=100", "--set", "data.dataset.num_val=50"),
    *("--set", "data.dataset.num_test=50", "--set", "evaluation.every=4", "--set", "checkpoint.every=2"),
]


class Faulty(nn.Module):
    """Raises in its n-th forward pass of training or of evaluation."""

    closed = False

    def __init__(self, num_classes: int, training: bool, first: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)  # for analyze to look at
        self.fc = nn.Linear(3, num_classes)
        self.when, self.left = training, first

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training == self.when:
            self.left -= 1
            if self.closed or self.left < 0:
                raise ValueError("gate closed\nfor good")
        logits: torch.Tensor = self.fc(self.bn1(self.conv1(images)).mean((2, 3)))
        return logits


class FaultySpec(ModelSpec):
    kind: Literal["faulty"] = "faulty"
    training: bool = False
    first: int = 0

    def build(self, *, num_classes: int, image_size: int, seed: int) -> nn.Module:
        return Faulty(num_classes, self.training, self.first)


@pytest.fixture(autouse=True)
def plugin() -> Iterator[None]:
    with registry.override("models", "faulty", FaultySpec):
        yield


@pytest.mark.parametrize(("training", "first", "saved"), [("true", 3, 2), ("false", 0, 2), ("false", 1, 4)])
def test_a_run_fails_and_keeps_what_was_saved(
    rescli: Callable[..., Any], tmp_path: Path, training: str, first: int, saved: int
) -> None:
    model = f'model={{kind="faulty", training={training}, first={first}}}'
    answer = rescli("train", *FLAGS, "--set", model, "--out", tmp_path / "run", "-q")
    assert answer.code == 2
    assert "the network faulty failed: " in answer.err
    assert "Faulty raised ValueError: gate closed\n  in forward, test_failing_network.py:" in answer.err
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert (record["status"], record["last_saved_iteration"]) == ("failed", saved)


@pytest.mark.parametrize("command", [["eval"], ["analyze", "responses"]])
def test_a_checkpoint_that_cannot_be_evaluated(
    rescli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    run = tmp_path / "run"
    model = 'model={kind="faulty", first=100}'
    assert rescli("train", *FLAGS, "--set", model, "--out", run, "-q").code == 0
    monkeypatch.setattr(Faulty, "closed", True)
    answer = rescli(*command, run / "checkpoints" / "last.safetensors", "--device", "cpu")
    assert (answer.code, answer.out) == (2, "")
    assert "the network faulty failed: " in answer.err
    assert "raised ValueError: gate closed\n" in answer.err
