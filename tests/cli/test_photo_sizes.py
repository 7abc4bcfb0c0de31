"""Photographs that lie on their side, slivers among them, and nets of other sizes: the same in every path."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.normalization import Normalization
from rescli.exporters.base import Options
from rescli.exporters.description import describe
from rescli.models.specs import model_spec
from rescli.workflows.load import load

Rescli = Callable[..., Any]

SLIVERS = {"wide.png": (1000, 1), "high.png": (1, 1000), "panorama.jpg": (6000, 40)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of images of 48 x 36, and in each part one that is to be turned by a quarter."""
    root, rng = tmp_path / "photos", np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for number in range(count):
            path = root / split / f"class{number % 2}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            exif = Image.Exif()
            exif[0x0112] = 6 if number == 1 else 1
            coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
            coarse.resize((48, 36), Image.Resampling.BICUBIC).save(path, exif=exif)
    return root


def flags(root: Path, *sets: str) -> list[object]:
    return [
        *("imagefolder/32", "--data-root", root, "--set", "model.depth=8", "--set", "model.width=4"),
        *("--iterations", 2, "--batch-size", 4, "--device", "cpu", "--workers", 0),
        *(part for one in sets for part in ("--set", one)),
    ]


@pytest.fixture
def net(tmp_path: Path) -> Callable[..., Path]:
    """A checkpoint of an untrained net for a folder of two classes."""

    def write(name: str, **given: Any) -> Path:
        dataset = ImageFolderSpec(image_size=32, classes=("class0", "class1"), **given)
        model = model_spec("resnet-8", image_size=32, width=4)
        Checkpoint(
            tensors=model.build(num_classes=2, image_size=32, seed=3).state_dict(),
            model=model,
            dataset=dataset,
            spec=None,
            normalization=Normalization("per-channel", torch.full((3, 1, 1), 0.5), torch.full((3,), 0.25)),
            class_names=("class0", "class1"),
            iteration=0,
            selection="last",
            results={},
            data={},
            precision="fp32",
        ).write(tmp_path / f"{name}.safetensors")
        return tmp_path / f"{name}.safetensors"

    return write


class TestOrientation:
    def test_evaluation_and_prediction_turn_what_the_net_was_trained_on_turned(
        self, rescli: Rescli, net: Callable[..., Path], photos: Path, tmp_path: Path
    ) -> None:
        stored, upright = net("stored"), net("upright", orientation="upright")
        lying = photos / "val/class1/1.png"
        turned = tmp_path / "turned.png"
        with Image.open(lying) as image:
            image.transpose(Image.Transpose.ROTATE_270).save(turned)
            # As Pillow has it open, it still says how it lies.
            assert load(upright).preprocess(image).equal(load(upright).preprocess(turned))
        assert load(upright).preprocess(lying).equal(load(stored).preprocess(turned))
        assert not load(stored).preprocess(lying).equal(load(stored).preprocess(turned))
        rows = [
            rescli("eval", one, "--data-root", photos, "--split", "val", "--json").json["results"][0]
            for one in (stored, upright)
        ]
        assert rows[0]["loss"] != rows[1]["loss"]
        assert rows[0]["data_sha256"] != rows[1]["data_sha256"]
        assert rows[1]["protocol_text"].startswith("turned upright as the file says")
        assert (rows[1]["views"]["orientation"], "orientation" in rows[0]["views"]) == ("upright", False)
        # The very same images as another folder, whose own spec says nothing.
        again = rescli(
            *("eval", upright, "--dataset", "imagefolder", "--classes", "names", "--data-root", photos),
            *("--split", "val", "--json"),
        )
        assert again.code == 0, again.err
        assert again.json["results"][0]["loss"] == rows[1]["loss"]

    def test_a_run_writes_it_down_and_its_net_carries_it(
        self, rescli: Rescli, photos: Path, tmp_path: Path
    ) -> None:
        upright, mean = "data.dataset.orientation=upright", "data.normalization=per-pixel-mean"
        for name, sets in (("a", [upright]), ("b", [])):
            answer = rescli("train", *flags(photos, mean, *sets), "--out", tmp_path / name, "--json")
            assert answer.code == 0, answer.err
        records = [json.loads((tmp_path / name / "record.json").read_text()) for name in "ab"]
        assert records[0]["data"]["sha256"]["train"] != records[1]["data"]["sha256"]["train"]
        assert "data.dataset.orientation" in {row["field"] for row in records[0]["ledger"]}
        nets = [load(tmp_path / name) for name in "ab"]
        assert not nets[0].checkpoint.normalization.mean_CHW.equal(nets[1].checkpoint.normalization.mean_CHW)
        assert nets[0].spec is not None
        assert nets[0].spec.data.dataset.orientation == "upright"
        assert "orientation" not in (tmp_path / "b/spec.toml").read_text()
        told = describe(nets[0].checkpoint, Options(), [])
        assert told["test_protocol"]["text"].startswith("turned upright as the file says")
        assert told["training"]["data"]["dataset"]["orientation"] == "upright"  # type: ignore[index, call-overload]

    def test_a_pack_is_made_one_way(
        self, rescli: Rescli, net: Callable[..., Path], photos: Path, tmp_path: Path
    ) -> None:
        packed = tmp_path / "packed"
        answer = rescli(
            *("data", "pack", "imagefolder", "--data-root", photos, "--out", packed),
            *("--orientation", "upright", "--quality", 100),
        )
        assert answer.code == 0, answer.err
        upright = net("upright", orientation="upright")
        rows = [
            rescli("eval", upright, "--data-root", root, "--split", "val", "--json").json["results"][0]
            for root in (photos, packed)
        ]
        assert rows[0]["loss"] == pytest.approx(rows[1]["loss"], rel=0.1)
        other = rescli("eval", net("stored"), "--data-root", packed, "--split", "val")
        assert other.code == 3
        assert "was packed with orientation 'upright', and 'stored' is asked for" in other.err
        assert "data.dataset.orientation to 'upright'" in other.err
        wrong = rescli(
            *("data", "pack", "imagefolder", "--data-root", photos, "--out", tmp_path / "x"),
            *("--orientation", "sideways"),
        )
        assert (wrong.code, "stored, upright" in wrong.err) == (2, True)


def test_slivers_and_panoramas_cost_a_crop_in_training_mean_val_eval_prediction_and_packing(
    rescli: Rescli, photos: Path, tmp_path: Path
) -> None:
    for split in ("train", "val"):
        for name, size in SLIVERS.items():
            Image.new("RGB", size, (200, 90, 30)).save(photos / split / "class0" / name)
    answer = rescli("train", *flags(photos), "--out", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["results"]["val"]["num_images"] == 7
    for protocol in ("center32", "ten-crop", "multi-scale", "flip"):
        run = ("eval", tmp_path / "run", "--split", "val", "--protocol", protocol, "--json")
        (row,) = rescli(*run, "--data-root", photos).json["results"]
        assert row["num_images"] == 7
    found = rescli("predict", tmp_path / "run", photos / "val/class0", "--json").json
    assert (len(found["predictions"]), found["skipped"]) == (5, [])
    Image.new("RGB", (66_000, 1), (200, 90, 30)).save(photos / "val/class0/longest.png")
    packed = tmp_path / "packed"
    assert rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", packed).code == 0
    answer = rescli("train", *flags(packed), "--out", tmp_path / "of_pack", "--json")
    assert (answer.code, answer.json["results"]["val"]["num_images"]) == (0, 8)


class TestImageSize:
    def test_the_net_the_shorter_sides_and_the_view_follow(
        self, rescli: Rescli, photos: Path, tmp_path: Path
    ) -> None:
        answer = rescli("train", *flags(photos), "--out", tmp_path / "run", "--json")
        assert answer.code == 0, answer.err
        assert answer.json["results"]["val"]["protocol"] == "center32"
        spec = load(tmp_path / "run").spec
        assert spec is not None
        assert spec.data.augment.shorter_side == (36, 68)
        assert spec.model.model_dump()["family"] == "cifar"
        net = load(tmp_path / "run")
        assert (net.image_size, net.preprocess(photos / "val/class0/0.png").shape) == (32, (3, 32, 32))
        assert "M multiply-adds" not in answer.err
        row = rescli("eval", tmp_path / "run", "--data-root", photos, "--json").json["results"][0]
        assert row["top1_error"] == answer.json["results"]["val"]["top1_error"]
        assert row["views"]["shorter_sides"] == [36]

    def test_a_family_out_of_place_says_what_it_costs(self, rescli: Rescli, photos: Path) -> None:
        run = ("train", "--dataset", "imagefolder", "--data-root", photos, "--dry-run", "--json")
        answer = rescli(*run, "--set", "model.family=cifar", "--depth", 20)
        assert answer.code == 0
        assert "takes 1,987 M multiply-adds for an image of 224x224" in answer.err
        answer = rescli(
            *(*run, "--set", "model.family=imagenet", "--set", "data.dataset.image_size=32", "--depth", 18)
        )
        assert answer.code == 0
        assert "reduces an image of 32x32 to a single place" in answer.err
        assert rescli(*run, "--depth", 18).err.count("model.family") == 0

    @pytest.mark.parametrize(
        ("sets", "says"),
        [
            (["data.dataset.image_size=100"], "a multiple of 32 from 32 to 1024; nearest: 96"),
            (["data.dataset.image_size=0"], "nearest: 32"),
            (["data.dataset.orientation=sideways"], "orientation"),
            (["data.augment.shorter_side=[20,80]"], "a shorter side below 32 holds no crop"),
            (["data.dataset.image_size=32", "model.depth=18"], "18 is not 6n+2"),
        ],
    )
    def test_what_cannot_be_is_exit_2(self, rescli: Rescli, photos: Path, sets: list[str], says: str) -> None:
        answer = rescli("train", *flags(photos, *sets), "--dry-run")
        assert (answer.code, says in answer.err) == (2, True), answer.err

    def test_a_mean_image_of_another_size_is_not_begun_with(
        self, rescli: Rescli, photos: Path, tmp_path: Path
    ) -> None:
        mean = "data.normalization=per-pixel-mean"
        assert rescli("train", *flags(photos, mean), "--out", tmp_path / "a").code == 0
        begun = ("--from", tmp_path / "a/checkpoints/last.safetensors", "--out", tmp_path / "b")
        answer = rescli("train", *flags(photos, "data.dataset.image_size=64"), *begun)
        assert answer.code == 4
        assert "the mean image is 32x32, the images are 64x64" in answer.err
        assert "--set data.dataset.image_size=32" in answer.err
