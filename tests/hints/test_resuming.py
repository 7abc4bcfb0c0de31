"""What is suggested where a run is to go on: of damaged states, other machines, images that have changed."""

# ruff: noqa: ARG001 -- fixtures make the place of a command

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from photographs import rot

from rescli.data.folders.specs import ImageFolderSpec
from rescli.runs.resuming import prepare

Heed = Callable[..., Any]

PHOTOS = (
    "train imagefolder/32 --data-root photos --depth 8 --set model.width=4 --iterations 4 --batch-size 4 "
    "--device cpu --precision fp32 --workers 0 --threads 1 --out run"
)
RESUMING = "runs/resuming/images.py"


@pytest.mark.parametrize("file", ["state/latest.json", "state", "checkpoints/last.safetensors"])
@pytest.mark.parametrize("on", ["shapes", "photos"])
def test_of_a_damaged_state(
    heed: Heed, place: Path, request: pytest.FixtureRequest, file: str, on: str
) -> None:
    request.getfixturevalue("stopped" if on == "shapes" else "stopped_on_photos")
    if file == "state/latest.json":
        (place / "run" / file).unlink()
        heed("train --resume run", 4, reaches=["runs/resuming/prepare.py train_anew"])
    elif file == "state":
        (saved,) = (place / "run/state").glob("*.safetensors")
        saved.unlink()
        heed("train --resume run", 4, reaches=["runs/saved_state.py train_anew"])
    else:
        (place / "run" / file).unlink()
        heed("eval run", 2, reaches=["checkpoints/locate.py resume"])


def test_of_a_device_that_is_gone(heed: Heed, stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = prepare.load_state

    def of_a_gpu(*args: Any) -> Any:
        return replace(load(*args), device="cuda:0")

    monkeypatch.setattr(prepare, "load_state", of_a_gpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    heed("train --resume run", 2, reaches=["runs/resuming/prepare.py device"])


def test_of_fewer_cores(heed: Heed, stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = prepare.load_state
    monkeypatch.setattr(prepare, "load_state", lambda *args: replace(load(*args), threads=3))
    monkeypatch.setattr(prepare, "usable_cores", lambda: 1)
    heed("train --resume run", 0, reaches=["runs/resuming/prepare.py threads"], says=r"(--threads \d+) lets")


def test_of_other_images(heed: Heed, stopped_on_photos: Path, photos: Path) -> None:
    shutil.copytree(photos, photos.with_name("kept"))
    (photos / "train/cat/cat0.jpg").unlink()
    reaches = [f"{RESUMING} data_root", f"{RESUMING} train_on"]
    heed("train --resume run", 3, reaches=reaches, DIR="kept")


def test_of_other_images_where_some_were_held_out(
    heed: Heed, photos: Path, stop: Callable[..., Path]
) -> None:
    shutil.rmtree(photos / "val")
    stop("imagefolder/32", photos.with_name("run"), photos, **{"data.dataset.val_size": 2})
    shutil.copytree(photos, photos.with_name("kept"))
    (photos / "train/cat/cat0.jpg").unlink()
    reaches = [f"{RESUMING} data_root", f"{RESUMING} train_anew"]
    heed("train --resume run", 3, reaches=reaches, DIR="kept")


def test_of_a_damaged_note_of_the_place(heed: Heed, stopped_on_photos: Path) -> None:
    (stopped_on_photos / "state/data_root.json").write_text("[]")
    heed("train --resume run", 4, reaches=["runs/data_root/note.py data_root"], DIR="photos")


def test_of_a_damaged_image_in_the_midst(heed: Heed, photos: Path, checkpoint_of: Callable[..., Any]) -> None:
    """Weights to begin with bring their statistics, so that it is met in training."""
    pets = ImageFolderSpec(image_size=32, classes=("cat", "dog"), num_train=7, num_val=6, held_out=False)
    checkpoint = checkpoint_of("resnet-8", dataset=pets, normalization="per-channel", width=4)
    checkpoint.write(photos.with_name("net.safetensors"))
    damaged = photos / "train/cat/noise.png"
    rot(damaged)
    reaches = [f"{RESUMING} resume", f"{RESUMING} train_anew"]

    def remove(suggestion: str) -> None:
        if "--resume" not in suggestion:  # "once it is replaced or removed"
            damaged.unlink()

    heed(f"{PHOTOS} --from net.safetensors", 3, reaches=reaches, mended=remove)


def test_of_images_that_were_moved(heed: Heed, place: Path, stopped_on_photos: Path) -> None:
    (place / "photos").rename(place / "moved")
    for typed in ("train --resume run", "eval run --device cpu", "analyze responses run --device cpu"):
        heard = heed(typed, 3, reaches=["runs/data_root/gone.py data_root"], DIR="moved")
        assert "/photos, where " in heard.err
        assert "run had its images, is gone." in heard.err
