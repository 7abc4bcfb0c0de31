"""A plugin's network that cannot be captured: one line says why, and where."""

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


class Deciding(nn.Module):
    """Decides by the values of a tensor."""

    def __init__(self, num_classes: int, how: str) -> None:
        super().__init__()
        self.how = how
        self.fc = nn.Linear(3, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.how == "item" and images.mean().item() > 1e9:
            images = images + 1
        if self.how == "raises":
            raise KeyError("gate")
        logits: torch.Tensor = self.fc(images.mean((2, 3)))
        return logits


class DecidingSpec(ModelSpec):
    kind: Literal["deciding"] = "deciding"
    how: str

    def build(self, *, num_classes: int, image_size: int, seed: int) -> nn.Module:
        return Deciding(num_classes, self.how)


@pytest.fixture(autouse=True)
def plugin() -> Iterator[None]:
    with registry.override("models", "deciding", DecidingSpec):
        yield


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (
            "item",
            "deciding cannot be captured as a graph: what it computes depends on the values of a tensor",
        ),
        ("raises", "the network deciding failed: "),
    ],
)
@pytest.mark.parametrize(("format", "suffix"), [("torch-export", "pt2"), ("onnx", "onnx")])
def test_what_cannot_be_captured_is_one_error_and_leaves_nothing(
    rescli: Callable[..., Any],
    checkpoint_of: Callable[..., Any],
    tmp_path: Path,
    how: str,
    says: str,
    format: str,
    suffix: str,
) -> None:
    spec = DecidingSpec(how=how)
    plain = checkpoint_of("resnet-8")
    tensors = dict(spec.build(num_classes=len(plain.class_names), image_size=32, seed=0).state_dict())
    file = tmp_path / "net.safetensors"
    replace(plain, model=spec, tensors=tensors).write(file)
    out = tmp_path / f"net.{suffix}"
    answer = rescli("export", file, "--format", format, "--out", out, "--check-images", "10")
    assert (answer.code, answer.out) == (2, "")
    progress, error, hint = answer.err.splitlines()
    assert progress.endswith("writing and checking ...")
    assert error.startswith(f"error: {says}")
    assert hint.startswith("  in forward, test_graph.py:")
    assert os.listdir(tmp_path) == [file.name]
