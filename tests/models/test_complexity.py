"""Counts by hooks, on nets small enough to count by hand and on the golden ones."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rescli.models.complexity import Complexity, complexity
from rescli.models.resnet import cifar_resnet, imagenet_resnet

GOLDEN = tomllib.loads(Path(__file__).with_name("golden_counts.toml").read_text())


class _Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.grouped = nn.Conv2d(4, 8, 1, groups=2, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.grouped(self.conv(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def test_counts_by_hand() -> None:
    # 8x8 image -> 4x4 map, 16 pixels.
    assert complexity(_Tiny(), image_size=8) == Complexity(
        params=(3 * 4 * 9 + 4) + (4 * 8 // 2) + 16 + (8 * 5 + 5),
        macs=16 * 4 * 27 + 16 * 8 * 2 + 40,
        activations=16 * 4 + 16 * 8,
    )


@pytest.mark.parametrize("training", [True, False])
def test_model_stays_as_it_was(training: bool) -> None:
    model = cifar_resnet(depth=8).train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    complexity(model, image_size=1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training is training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(p.device.type == "cpu" for p in model.parameters())


def test_a_failing_forward_leaves_no_hook() -> None:
    model = _Tiny()
    with pytest.raises(RuntimeError):
        complexity(model, image_size=8, in_channels=2)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    "row", [r for r in GOLDEN["cifar"] if r["depth"] <= 110], ids=lambda r: str(r["depth"])
)
def test_golden_cifar(row: dict[str, Any]) -> None:
    for option, params in row["params"].items():
        with torch.device("meta"):
            model = cifar_resnet(depth=row["depth"], shortcut=None if option == "none" else option)
        counted = complexity(model, image_size=32)
        assert counted.params == params
        if option in row["macs_1e6"]:
            assert round(counted.macs / 1e6, 1) == row["macs_1e6"][option]


def test_golden_cifar_1202() -> None:
    row = next(r for r in GOLDEN["cifar"] if r["depth"] == 1202)
    with torch.device("meta"):
        model = cifar_resnet(depth=1202)
    counted = complexity(model, image_size=32)
    assert counted.params == row["params"]["A"]
    assert round(counted.macs / 1e6, 1) == row["macs_1e6"]["A"]


@pytest.mark.parametrize("row", GOLDEN["imagenet"], ids=lambda r: str(r["depth"]))
@pytest.mark.parametrize("stride_on", ["1x1", "3x3"])
def test_golden_imagenet(row: dict[str, Any], stride_on: Any) -> None:
    key = "macs_3x3_1e9" if stride_on == "3x3" else "macs_1e9"
    for option, macs in row.get(key, {}).items():
        with torch.device("meta"):
            model = imagenet_resnet(
                depth=row["depth"], shortcut=None if option == "none" else option, stride_on=stride_on
            )
        counted = complexity(model, image_size=224)
        assert counted.params == row["params"][option]
        assert round(counted.macs / 1e9, 3) == macs
