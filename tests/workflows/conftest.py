"""Nets of both kinds, of small images and of photographs, and pictures of every awkward sort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rescli.data.folders.read import read_folder
from rescli.data.folders.specs import ImageFolderSpec

CLASSES = ("bird", "boat", "tree")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty: runs/ and comparisons/ come to lie in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """ROOT/val/CLASS/*: twelve photographs of odd sizes, some grey, CMYK or with a palette."""
    root = tmp_path / "photos"
    rng = np.random.default_rng(0)
    sizes = ((301, 199), (224, 224), (256, 257), (57, 83))
    for name in CLASSES:
        for number, size in enumerate(sizes):
            path = root / "val" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(size)
            {
                0: lambda image, path: image.save(path),
                1: lambda image, path: image.convert("L").save(path),
                2: lambda image, path: image.convert("CMYK").save(path.with_suffix(".jpg")),
                3: lambda image, path: image.convert("P").save(path),
            }[number](coarse, path)
    return root


@pytest.fixture
def photo_net(make_checkpoint: Callable[..., Path], photo_folder: Path) -> Path:
    """A narrow ResNet-18 of the three classes of ``photo_folder``."""
    classes = read_folder(photo_folder, ("val",))["val"].class_names
    return make_checkpoint(
        "resnet-18", dataset=ImageFolderSpec(classes=classes), normalization="per-channel", width=4
    )


@pytest.fixture
def odd_files(tmp_path: Path) -> dict[str, Path]:
    """What cameras, scanners and web pages leave, by what it is; ``damaged``, ``text`` and ``empty`` too."""
    rng = np.random.default_rng(1)
    rgb = Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    grey16 = rng.integers(0, 2**16, (40, 50), dtype=np.uint16)
    folder = tmp_path / "odd"
    folder.mkdir()
    found: dict[str, Path] = {}

    def save(name: str, image: Image.Image, suffix: str, **options: Any) -> None:
        found[name] = folder / f"{name}{suffix}"
        image.save(found[name], **options)

    save("rgb", rgb, ".png")
    save("grey", rgb.convert("L"), ".png")
    save("cmyk", rgb.convert("CMYK"), ".jpg")
    save("grey16", Image.fromarray(grey16), ".png")
    save("palette", rgb.convert("P"), ".png")
    save("transparent", rgb.convert("RGBA"), ".png")
    save("bilevel", rgb.convert("1"), ".png")
    save("animated", rgb, ".gif", save_all=True, append_images=[rgb.rotate(90), rgb.rotate(180)])
    for name, content in (
        ("damaged", found["cmyk"].read_bytes()[:400]),
        ("text", b"not a picture"),
        ("empty", b""),
    ):
        found[name] = folder / f"{name}.jpg"
        found[name].write_bytes(content)
    return found
