"""A dry run refuses what the training would refuse before its first iteration, in the same words."""

# ruff: noqa: ARG001 -- a fixture makes the place of a command

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from photographs import picture, put_cats_and_dogs, rot
from PIL import Image

Rescli = Callable[..., Any]
ROOT = Path(__file__).parent

SMALL = (
    "--set",
    "model.width=4",
    "--iterations",
    1,
    "--batch-size",
    4,
    "--workers",
    0,
    "--precision",
    "fp32",
)
ON_PHOTOS = ("train", "imagefolder/32", "--depth", 8, *SMALL, "--data-root")
ON_SHAPES = ("train", "shapes/base", "--model", "resnet-8", *SMALL)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return put_cats_and_dogs(Path("photos"), 3)


@pytest.fixture
def refused(rescli: Rescli) -> Callable[..., str]:
    """Types a training and its dry run; both must end alike, and nothing may be left."""

    def call(*typed: object, code: int) -> str:
        before = sorted(Path().rglob("*"))
        answers = [rescli(*typed, "--dry-run"), rescli(*typed, "--dry-run", "--json"), rescli(*typed)]
        errors = [answer.err[answer.err.index("error: ") :] for answer in answers if "error: " in answer.err]
        assert [answer.code for answer in answers] == [code] * 3, errors
        assert errors == errors[:1] * 3
        assert answers[0].out == answers[1].out == ""
        assert sorted(Path().rglob("*")) == before
        return str(errors[0])

    return call


def test_a_pack_of_the_other_orientation(photos: Path, rescli: Rescli, refused: Any) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    picture(1).save(photos / "train/cat/turned.jpg", exif=turned)
    packing = ("data", "pack", "imagefolder", "--data-root", photos, "--out", "packed")
    assert rescli(*packing, "--orientation", "upright").code == 0
    assert "packed with orientation 'upright'" in refused(*ON_PHOTOS, "packed", code=3)
    typed = (*ON_PHOTOS, "packed", "--set", "data.dataset.orientation=upright")
    assert rescli(*typed, "--dry-run").code == 0
    # To verify such a pack it has to be read as it was packed.
    assert rescli("data", "verify", "imagefolder", "--data-root", "packed").code == 3


def test_a_pack_that_is_cut_off(photos: Path, rescli: Rescli, refused: Any) -> None:
    assert rescli("data", "pack", "imagefolder", "--data-root", photos, "--out", "packed").code == 0
    whole = Path("packed/val.images").read_bytes()
    Path("packed/val.images").write_bytes(whole[:-5])
    assert "are damaged" in refused(*ON_PHOTOS, "packed", code=3)


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("damage", ["cut", "rotten", "missing"])
def test_damaged_photographs(photos: Path, rescli: Rescli, refused: Any, split: str, damage: str) -> None:
    if damage == "cut":
        path = photos / split / "cat/1.jpg"
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "rotten":
        rot(photos / split / "cat/0.png")
    else:
        (photos / split / "cat/none.jpg").symlink_to("nowhere")
    typed = (*ON_PHOTOS, photos)
    if damage == "rotten" and split == "train":  # which training meets as it measures their mean
        assert [rescli(*typed, *flags).code for flags in ((), ("--dry-run",))] == [3, 3]
    else:
        refused(*typed, code=3)
    if damage != "missing":
        assert rescli(*typed, "--skip-damaged", "--dry-run").code == 0


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (("--device", "cuda:77"), 2, "device 'cuda:77'"),
        (("--device", "quantum"), 2, "unknown device"),
        (("--device", "cpu", "--engine", "graph"), 2, "CUDA"),
        (("--device", "cpu", "--engine", "compile", "--kernels", "native"), 2, "makes kernels of its own"),
        (("--device", "cpu", "--precision", "fp16"), 2, "fp16"),
        (("--precision", "fp16", "--device", "cpu"), 2, "fp16"),
        (("--out", "taken"), 2, "is not empty"),
        (("--out", "file/below"), 2, "cannot write"),
        (("--nproc", "3"), 2, "cannot be shared evenly by 3 processes"),
    ],
)
def test_what_this_machine_or_place_does_not_have(
    photos: Path, refused: Any, rescli: Rescli, flags: tuple[str, ...], code: int, says: str
) -> None:
    Path("taken").mkdir()
    Path("taken/something").touch()
    Path("file").touch()
    typed = (*ON_SHAPES, *flags)
    if "--nproc" in flags:  # the training's own refusal comes from processes of their own
        answer = rescli(*typed, "--dry-run")
        assert (answer.code, says in answer.err) == (code, True)
    else:
        assert says in refused(*typed, code=code)


def test_a_directory_of_a_run_and_an_empty_one(photos: Path, rescli: Rescli, refused: Any) -> None:
    Path("empty").mkdir()
    assert rescli(*ON_SHAPES, "--out", "empty", "--dry-run").code == 0
    assert os.listdir("empty") == []
    assert rescli(*ON_SHAPES, "--out", "new/below", "--dry-run").code == 0
    assert not Path("new").exists()
    small = ("--set", "data.dataset.num_train=20", "--set", "data.dataset.num_val=5", "--device", "cpu")
    assert rescli(*ON_SHAPES, *small, "--out", "run").code == 0
    assert "holds a run already" in refused(*ON_SHAPES, "--out", "run", code=2)


def test_batches_of_one_image(photos: Path, refused: Any) -> None:
    typed = (
        "train",
        "imagefolder/64",
        "--set",
        "data.dataset.image_size=32",
        "--set",
        "model.family=imagenet",
    )
    typed += ("--set", "model.width=4", "--batch-size", "1", "--iterations", "1", "--device", "cpu")
    assert "batches of one image" in refused(*typed, "--data-root", photos, code=2)


def test_weights_of_another_net(photos: Path, net8: Path, refused: Any) -> None:
    shutil.copy(net8, "net.safetensors")
    typed = ("train", "shapes/base", "--model", "resnet-14", "--from", "net.safetensors", "--device", "cpu")
    assert "do not fit this network" in refused(*typed, code=4)


def test_no_imagenet_where_it_should_lie(photos: Path, refused: Any, rescli: Rescli) -> None:
    assert "no ImageNet" in refused(
        "train", "imagenet/resnet-18", "--data-root", photos / "nowhere", "--device", "cpu", code=3
    )
    assert rescli("train", "imagenet/resnet-18", "--dry-run").code == 0  # planned without images


def test_a_budget_of_several_processes(rescli: Rescli) -> None:
    answers = [
        rescli("train", "quickstart", "--nproc", 2, "--budget", "1m", *flags)
        for flags in ((), ("--dry-run",))
    ]
    assert [answer.code for answer in answers] == [2, 2]
    assert answers[0].err == answers[1].err


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_a_dry_run_downloads_nothing(
    rescli: Rescli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    def download(*_: object) -> None:
        raise AssertionError("it downloads")

    monkeypatch.setattr("rescli.data.cifar.official_files._download", download)
    typed = ("train", "--dataset", dataset, "--depth", 20, "--data-root")
    assert rescli(*typed, tmp_path, "--dry-run").code == 0
    assert rescli(*typed, tmp_path / "not made yet", "--dry-run").code == 0
    assert rescli(*typed, tmp_path / "no.tar.gz", "--dry-run").code == 3
    assert list(tmp_path.iterdir()) == []
