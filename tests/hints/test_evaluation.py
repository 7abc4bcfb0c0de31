"""What is suggested where checkpoints are evaluated, compared and looked into."""

# ruff: noqa: ARG001 -- fixtures make the place of a command

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from photographs import put_pictures

from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.specs import ImageNetSpec, ShapesSpec
from rescli.evaluation.logits import inference

Heed = Callable[..., Any]
Make = Callable[..., Any]

WNIDS = ("n01440764", "n02102040", "n03888257")
PETS = ImageFolderSpec(image_size=32, classes=("cat", "dog"), num_train=6, num_val=6, held_out=False)
EVAL = "--device cpu --no-cache"


@pytest.fixture
def net(place: Path, checkpoint_of: Make) -> Callable[..., Path]:
    """``net("resnet-8", dataset=...)``: an untrained net in the place, as net.safetensors."""

    def make(model: str = "resnet-8", **given: Any) -> Path:
        made = place / "net.safetensors"
        checkpoint_of(model, **{"width": 4, **given}).write(made)
        return made

    return make


FEW = ShapesSpec(num_train=20, num_val=20, num_test=20)


def test_of_classes(heed: Heed, place: Path, net: Callable[..., Path]) -> None:
    net("resnet-18", dataset=ImageNetSpec(), normalization="per-channel")
    put_pictures(place / "photos", *(f"val/{wnid}/{n}.jpg" for wnid in WNIDS for n in range(2)))
    typed = f"eval net.safetensors --data-root photos {EVAL}"
    heed(typed, 3, reaches=["data/folders/read.py dataset"])
    heed(f"{typed} --dataset imagefolder", 4, reaches=["evaluation/classes.py classes"])


def test_of_classes_that_are_no_wordnet_ids(heed: Heed, photos: Path, net: Callable[..., Path]) -> None:
    net(dataset=PETS, normalization="per-channel")
    typed = f"eval net.safetensors --data-root photos --classes wnids {EVAL}"
    heed(typed, 2, reaches=["evaluation/classes.py classes"])


def test_of_a_split(heed: Heed, photos: Path, net: Callable[..., Path]) -> None:
    net(dataset=PETS, normalization="per-channel")
    typed = f"eval net.safetensors --data-root photos --split test {EVAL}"
    heed(typed, 3, reaches=["evaluation/images/which_images.py split"])


def test_of_a_folder_that_changed(heed: Heed, photos: Path, rescli: Callable[..., Any]) -> None:
    train = (
        "train imagefolder/32 --data-root photos --depth 8 --set model.width=4 --iterations 2 "
        "--batch-size 4 --device cpu --precision fp32 --workers 0 --threads 1 --out run -q"
    )
    assert rescli(*train.split()).code == 0
    put_pictures(photos, "val/cat/more.jpg")
    reaches = ["evaluation/images/which_images.py dataset"]
    heed(f"eval run --data-root photos {EVAL}", 3, reaches=reaches)
    heed(f"eval run {EVAL}", 3, reaches=reaches)
    put_pictures(photos, *(f"train/emu/{number}.jpg" for number in range(3)))
    answer = rescli("eval", "run", *EVAL.split())
    assert "\n  give their folders the names again that they had\n" in answer.err
    for folder in ("train/emu", "train/cat", "val/cat"):
        shutil.rmtree(photos / folder)
    heed(f"eval run {EVAL}", 3, reaches=reaches[1:])


def test_of_damaged_images(heed: Heed, photos: Path, net: Callable[..., Path]) -> None:
    net(dataset=PETS, normalization="per-channel")
    (photos / "val/cat/cat0.jpg").write_bytes(b"\xff\xd8\xff")
    heed(f"eval net.safetensors --data-root photos {EVAL}", 3, reaches=["evaluation/damage.py skip_damaged"])


def test_of_protocols(heed: Heed, photos: Path, net: Callable[..., Path]) -> None:
    net(dataset=FEW)
    reaches = ["evaluation/protocols.py protocol"]
    heed(f"eval net.safetensors --protocol center224 {EVAL}", 2, reaches=reaches)
    net(dataset=PETS, normalization="per-channel")
    for protocol in ("single", "center224"):
        typed = f"eval net.safetensors --data-root photos --protocol {protocol} {EVAL}"
        heed(typed, 2, reaches=reaches)


def test_of_too_little_memory(heed: Heed, net: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    net(dataset=FEW)
    predict = inference.predict_views

    def short(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(inference, "predict_views", predict)
        raise torch.OutOfMemoryError("16 GiB are too few")

    monkeypatch.setattr(inference, "predict_views", short)
    heed(f"eval net.safetensors {EVAL}", 2, reaches=["evaluation/logits/inference.py batch_size"])


def test_of_logits_that_are_not_finite(
    heed: Heed, net: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    net(dataset=FEW)
    predict = inference.predict_views

    def overflowing(*args: Any, **kwargs: Any) -> Any:
        logits = predict(*args, **kwargs)
        return logits if kwargs["numerics"].precision == "fp32" else logits * float("inf")

    monkeypatch.setattr(inference, "predict_views", overflowing)
    typed = f"eval net.safetensors --precision bf16 {EVAL}"
    heed(typed, 4, reaches=["evaluation/logits/inference.py precision"])


def test_of_files_that_are_no_checkpoints(heed: Heed, place: Path, net: Callable[..., Path]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(net(dataset=FEW, width=16))
    fill = {"--model NAME": "--model resnet-8", "--dataset NAME": "--dataset shapes", "FILE": "imported"}
    (place / "folder").mkdir()
    for reaches, name in (
        ("checkpoints/locate.py import_this", "net.pth"),
        ("checkpoints/locate.py import_this", "folder/net.pth"),
        ("checkpoints/locate.py import_this", "foreign.safetensors"),
        ("importers/exported.py import_this", "folder/foreign.safetensors"),
    ):
        if name.endswith(".pth"):
            torch.save(tensors, place / name)
        else:
            save_file(tensors, place / name)
            (place / "folder/config.json").write_text("{}")
        named = "folder" if name == "folder/net.pth" else name
        heed(f"eval {named}", 2 if named == "folder" else 4, reaches=[reaches], fill=fill)


def test_of_images_to_look_at(heed: Heed, photos: Path, net: Callable[..., Path]) -> None:
    shutil.rmtree(photos / "val")
    dataset = PETS.model_copy(update={"num_val": 0, "held_out": True})
    net(dataset=dataset, normalization="per-channel")
    typed = "analyze responses net.safetensors --split val --device cpu --data-root photos"
    heed(typed, 2, reaches=["studies/responses.py split"])


def test_of_no_names_on_stdin(
    rescli: Callable[..., Any], photos: Path, net: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    net(dataset=PETS, normalization="per-channel")
    monkeypatch.setattr(sys, "stdin", None)
    answer = rescli("predict", "net.safetensors", "-", "--device", "cpu")
    assert answer.code == 2
    assert answer.err.endswith("\n  find . | rescli predict CKPT -\n")
    monkeypatch.chdir(photos / "val/cat")
    monkeypatch.setattr(sys, "stdin", io.StringIO("./cat0.jpg\n./cat1.jpg\n"))  # as find names files
    answer = rescli("predict", "../../../net.safetensors", "-", "--device", "cpu")
    assert answer.code == 0, answer.err


def test_of_a_folder_for_a_picture(rescli: Callable[..., Any], place: Path, net: Callable[..., Path]) -> None:
    net(dataset=FEW)
    typed = ["eval", "net.safetensors", "--figure", "pictures/matrix.png", *EVAL.split()]
    answer = rescli(*typed)
    assert answer.code == 2
    (hint,) = [line.strip() for line in answer.err.splitlines() if "mkdir" in line]
    subprocess.run(shlex.split(hint), check=True)
    assert rescli(*typed).code == 0
