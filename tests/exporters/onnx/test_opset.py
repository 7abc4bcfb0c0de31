"""The operator set that a network needs: taken unasked, named where another one was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import nn

from rescli import registry
from rescli.spec.base import ModelSpec

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


class Layered(nn.Module):
    """Layer normalisation, which operator set 17 brought."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(3)
        self.fc = nn.Linear(3, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.norm(images.mean((2, 3))))
        return logits


class LayeredSpec(ModelSpec):
    kind: Literal["layered"] = "layered"

    def build(self, *, num_classes: int, image_size: int, seed: int) -> nn.Module:
        return Layered(num_classes)


@pytest.fixture
def layered(checkpoint_of: Callable[..., Any], tmp_path: Path) -> Iterator[Path]:
    plain = checkpoint_of("resnet-8")
    with registry.override("models", "layered", LayeredSpec):
        tensors = dict(Layered(len(plain.class_names)).state_dict())
        file = tmp_path / "net.safetensors"
        replace(plain, model=LayeredSpec(), tensors=tensors).write(file)
        yield file


def test_the_oldest_that_holds_it(rescli: Callable[..., Any], layered: Path, tmp_path: Path) -> None:
    flags = ("--format", "onnx", "--out", tmp_path / "out" / "net.onnx", "--check-images", "10")
    answer = rescli("export", layered, *flags, "--opset", "13")
    assert (answer.code, answer.out) == (2, "")
    assert "layered cannot be written in ONNX's operator set 13: that has no such Layer" in answer.err
    assert answer.err.endswith("\n  --opset 17\n")
    assert os.listdir(tmp_path) == ["net.safetensors"]
    facts = rescli("export", layered, *flags, "--json").json["facts"]
    assert (facts["opset"], facts["ir_version"]) == (17, 8)
    assert facts["read_by"][0] == "onnxruntime from 1.12"
