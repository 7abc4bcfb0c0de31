"""The preparation in numbers that goes along with an export."""

from __future__ import annotations

import pytest
import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.normalization import Normalization
from rescli.data.specs import ShapesSpec
from rescli.exporters.base import Options
from rescli.exporters.description import Transform, describe
from rescli.models.specs import BasicBlockSpec, ResNetSpec
from rescli.spec.base import DatasetSpec

PER_CHANNEL = Normalization(
    "per-channel", torch.tensor([0.5, 0.25, 0.125]).reshape(3, 1, 1), torch.ones(3) / 4
)


def transform(dataset: DatasetSpec, normalization: Normalization) -> Transform:
    checkpoint = Checkpoint(
        tensors={},
        model=ResNetSpec(depth=8, family="cifar", width=4, shortcut="A", block=BasicBlockSpec()),
        dataset=dataset,
        spec=None,
        normalization=normalization,
        class_names=("ant", "bee"),
        iteration=1,
        selection="last",
        results={},
        data={},
        precision="fp32",
    )
    return describe(checkpoint, Options(), [])["transform"]


@pytest.mark.parametrize(("size", "side"), [(224, 256), (64, 73), (32, 36)])
def test_photographs_are_resized_and_cropped(size: int, side: int) -> None:
    assert transform(ImageFolderSpec(image_size=size), PER_CHANNEL) == {
        "shorter_side": side,
        "crop": size,
        "interpolation": "bilinear",
        "antialias": True,
        "upright": False,
        "mean": [0.5, 0.25, 0.125],
        "std": [0.25, 0.25, 0.25],
        "mean_image": False,
    }


def test_photographs_are_turned_where_the_net_was_trained_so() -> None:
    assert transform(ImageFolderSpec(orientation="upright"), PER_CHANNEL)["upright"]


def test_small_images_keep_their_size_and_lose_a_mean_image() -> None:
    mean_CHW = torch.zeros(3, 32, 32)
    mean_CHW[0, :16] = 0.5
    found = transform(ShapesSpec(), Normalization("per-pixel-mean", mean_CHW))
    assert found["shorter_side"] is None
    assert found["crop"] is None
    assert found["mean"] == [0.25, 0, 0]
    assert found["std"] is None
    assert found["mean_image"]
