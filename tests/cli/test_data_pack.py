"""``rescli data pack``: the same images from one file, and a run on them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rescli.data.folders.read import read_folder
from rescli.data.photos.packed import packed_counts

Rescli = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    root = tmp_path / "photos"
    for split, count in (("train", 8), ("val", 4)):
        for number in range(count):
            folder = root / split / f"class{number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            size = (40, 30) if number % 3 else (90, 120)
            coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(
                folder / f"{number}.{'jpg' if number else 'png'}"
            )
    return root


def test_small_jpegs_are_copied_and_large_ones_reduced(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    answer = rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", packed, "--short-side", 60)
    assert (answer.code, answer.out.strip()) == (0, str(packed))
    assert sorted(os.listdir(packed)) == [
        *("packed.json", "train.images", "train.safetensors", "val.images", "val.safetensors")
    ]
    assert packed_counts(packed) == (("class0", "class1"), {"train": 8, "val": 4})
    before, after = read_folder(photos, ("train",))["train"], read_folder(packed, ("train",))["train"]
    assert after.file_names == before.file_names
    assert after.labels_N.equal(before.labels_N)
    for index, name in enumerate(before.file_names):
        image, small = before.image(index), after.image(index)
        if image.size == (40, 30) and name.endswith("jpg"):
            assert after.content(index) == before.content(index)
        elif image.size == (90, 120):
            assert small.size == (60, 80)
            reference = np.asarray(image.resize((60, 80), Image.Resampling.BILINEAR), dtype=int)
            assert np.abs(np.asarray(small, dtype=int) - reference).mean() < 3
    part = after.subset(after.labels_N.argsort(stable=True)[[5, 1]])
    assert [np.asarray(part.image(k)).shape for k in range(2)] == [
        np.asarray(after.image(after.file_names.index(name))).shape for name in part.file_names
    ]


def test_training_verifying_and_evaluating_take_it(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    assert rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", packed).code == 0
    flags = (
        *("--dataset", "imagefolder", "--depth", 18, "--set", "model.width=4", "--iterations", 2),
        *("--batch-size", 4, "--device", "cpu", "--workers", 1),
    )
    assert rescli("train", *flags, "--data-root", packed, "--out", tmp_path / "run").code == 0
    ckpt = tmp_path / "run/checkpoints/last.safetensors"
    rows = [
        rescli("eval", ckpt, "--data-root", root, "--json").json["results"][0] for root in (packed, packed)
    ]
    assert rows[0]["num_images"] == 4
    assert rescli("data", "verify", "imagefolder", "--data-root", packed).code == 0


def test_damage_is_exit_3(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    assert rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", packed).code == 0
    whole = (packed / "val.images").read_bytes()
    (packed / "val.images").write_bytes(whole[:-5])
    answer = rescli("data", "verify", "imagefolder", "--data-root", packed, "--split", "val")
    assert answer.code == 3
    assert "should have" in answer.out + answer.err
    (packed / "packed.json").write_text("{}")
    assert rescli("data", "verify", "imagefolder", "--data-root", packed).code == 3


def test_a_damaged_image_leaves_nothing(rescli: Rescli, photos: Path, tmp_path: Path) -> None:
    (photos / "train/class1/1.jpg").write_bytes(b"no image")
    answer = rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "packed")
    assert answer.code == 3
    assert "class1/1.jpg cannot be decoded" in answer.err
    assert os.listdir(tmp_path) == ["photos"]


@pytest.mark.parametrize(("name", "says"), [("cifar10", "nothing to pack"), ("imagfolder", "Did you mean")])
def test_what_cannot_be_packed_is_exit_2(rescli: Rescli, tmp_path: Path, name: str, says: str) -> None:
    answer = rescli("data", "pack", name, "--out", tmp_path / "packed")
    assert answer.code == 2
    assert says in answer.err


def test_what_no_net_can_be_trained_on_is_not_packed(
    rescli: Callable[..., Any], photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos / "val/class0", photos / "val/zebra")
    answer = rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "packed")
    assert answer.code == 3
    assert "val has 1 class that train lacks: zebra" in answer.err
    exclude = ("--set", 'data.dataset.exclude=["zebra"]')
    assert (
        rescli(
            "data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "packed", *exclude
        ).code
        == 0
    )
    assert packed_counts(tmp_path / "packed")[0] == ("class0", "class1")
    refused = rescli(
        "train", "--dataset", "imagefolder", "--depth", 18, "--data-root", tmp_path / "packed", *exclude
    )
    assert refused.code == 2
    assert "holds packed images" in refused.err
