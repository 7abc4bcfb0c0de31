"""Images as they come: odd sizes, grey, smaller than the crop; and nets with statistics that matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from rescli.data.folders.read import read_folder
from rescli.data.normalization import Normalization
from rescli.data.photos.image_files import ImageFiles
from rescli.hardware.numerics import Numerics
from rescli.models.resnet import cifar_resnet, imagenet_resnet

SIZES = ((301, 199), (224, 224), (256, 257), (57, 83), (1, 3), (640, 91), (225, 500))
"""width, height"""


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> ImageFiles:
    """JPEGs of every awkward size, the last ones grey and CMYK, in three classes."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number, (width, height) in enumerate(SIZES):
        coarse = rng.integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        _save(image, root / f"class{number % 3}" / f"{number}.jpg")
        if number < 2:
            _save(image.convert("L"), root / "class1" / f"grey{number}.jpg")
            _save(image.convert("CMYK"), root / "class2" / f"cmyk{number}.jpg")
    return read_folder(root, ("all",))["all"]


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    image.save(path, quality=90)


@pytest.fixture
def numerics() -> Numerics:
    return Numerics(torch.device("cpu"), "fp32")


def with_statistics(model: nn.Module, seed: int = 0) -> nn.Module:
    """Batch normalisation as after a training: fresh statistics would let many a mistake pass."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
    with torch.no_grad():
        model.fc.weight.mul_(0.05)  # type: ignore[operator, union-attr]
    return model.eval()


@pytest.fixture
def small_net() -> nn.Module:
    """A CIFAR net of 8 layers and 10 classes."""
    return with_statistics(cifar_resnet(depth=8, seed=0))


@pytest.fixture
def photo_net() -> Callable[..., nn.Module]:
    """Table 1's ResNet-18, an eighth as wide, of 3 classes."""
    return lambda **given: with_statistics(imagenet_resnet(depth=18, width=8, num_classes=3, **given))


@pytest.fixture
def channels() -> Normalization:
    return Normalization(
        "per-channel", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225])
    )
