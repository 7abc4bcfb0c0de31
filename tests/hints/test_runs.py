"""What is suggested of runs: directories that are taken, damaged states, images that have changed."""

# ruff: noqa: ARG001 -- fixtures make the place of a command

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from photographs import put_pictures

import rescli as library
from rescli.cli.train import command as train
from rescli.data.photos.loader import PhotoLoader
from rescli.errors import LostWorkersError
from rescli.training.engines.eager import EagerEngine

Heed = Callable[..., Any]

SMALL = (
    "--set model.width=4 --device cpu --precision fp32 --threads 1 --set data.dataset.num_train=40 "
    "--set data.dataset.num_val=20 --set data.dataset.num_test=20"
)
TRAIN = f"train shapes/base --depth 8 --iterations 2 --batch-size 8 {SMALL}"
PHOTOS = (
    "train imagefolder/32 --data-root photos --depth 8 --set model.width=4 --iterations 4 --batch-size 4 "
    "--device cpu --precision fp32 --workers 0 --threads 1 --out run"
)
DIRECTORY = "runs/directory.py"
RESUMING = "runs/resuming/images.py"


@pytest.fixture(scope="session")
def made_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two iterations on the shapes."""
    out = tmp_path_factory.mktemp("runs") / "run"
    small = {"num_train": 40, "num_val": 20, "num_test": 20}
    changes = {"model.depth": 8, "model.width": 4, "iterations": 2, "data.batch_size": 8, "precision": "fp32"}
    changes |= {f"data.dataset.{key}": value for key, value in small.items()}
    library.train(library.spec("shapes/base", changes), out=out, device="cpu", threads=1, progress=False)
    return out


@pytest.fixture
def run(place: Path, made_run: Path) -> Path:
    return Path(shutil.copytree(made_run, place / "run"))


def test_of_a_directory_that_is_taken(heed: Heed, run: Path) -> None:
    reaches = [f"{DIRECTORY} resume", f"{DIRECTORY} out"]
    heed(f"{TRAIN} --out run", 2, reaches=reaches, DIR="other")


def test_of_a_directory_that_holds_something_else(heed: Heed, place: Path) -> None:
    put_pictures(place / "run", "1.jpg")
    heed(f"{TRAIN} --out run", 2, reaches=[f"{DIRECTORY} out"], DIR="other")


def test_of_a_directory_that_is_taken_before_several_processes_begin(
    heed: Heed, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train.Launcher, "run", lambda *_: sys.exit(0))
    heed(f"{TRAIN} --out run --nproc 2", 2, DIR="other")


def test_of_batches_that_several_processes_cannot_share(heed: Heed, place: Path) -> None:
    typed = f"{TRAIN} --batch-size 7 --out run --nproc 2 --dry-run"
    heed(typed, 2, reaches=["hardware/launcher.py data.batch_size"])


def test_of_no_run(heed: Heed, place: Path) -> None:
    heed("train --resume run", 2, reaches=[f"{DIRECTORY} train"], PRESET="quickstart", behind="--dry-run")


def test_of_flags_that_change_a_run(heed: Heed, run: Path) -> None:
    typed = "train --resume run --batch-size 4"
    heed(typed, 2)


def test_of_going_on_for_longer(heed: Heed, run: Path) -> None:
    heed("train --resume run --iterations 3", 2)


def test_of_changes_to_a_run_on_photographs(heed: Heed, stopped_on_photos: Path) -> None:
    heed("train --resume run --iterations 5", 2)
    heed("train --resume run --batch-size 3", 2)


def test_of_going_on_for_longer_from_nothing(heed: Heed, run: Path) -> None:
    for path in run.iterdir():
        if path.name != "spec.toml":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    typed = "train --resume run --iterations 3 --out longer"
    heed(typed, 2, reaches=["workflows/running/longer.py resume"])


def test_of_the_last_line(heed: Heed, place: Path) -> None:
    heed(f"{TRAIN} --out run", 0)


def test_of_the_last_line_without_a_test_part(heed: Heed, photos: Path) -> None:
    heed(PHOTOS, 0)
    shutil.rmtree(photos / "val")
    heed(f"{PHOTOS} --set data.dataset.val_size=0", 0)


def test_of_a_stop(heed: Heed, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advance = EagerEngine.advance

    def stop_once(self: EagerEngine, *args: Any) -> Any:
        monkeypatch.setattr(EagerEngine, "advance", advance)
        os.kill(os.getpid(), signal.SIGTERM)
        return advance(self, *args)

    monkeypatch.setattr(EagerEngine, "advance", stop_once)
    heed(f"{TRAIN} --iterations 3 --out run --engine eager", 130, reaches=["runs/drive.py resume"])


def test_of_too_little_memory(heed: Heed, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advance = EagerEngine.advance

    def short(self: EagerEngine, *args: Any) -> Any:
        monkeypatch.setattr(EagerEngine, "advance", advance)
        raise torch.OutOfMemoryError("16 GiB are too few")

    monkeypatch.setattr(EagerEngine, "advance", short)
    heed(TRAIN, 2, reaches=["runs/drive.py data.batch_size"])


def test_of_lost_workers(heed: Heed, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = PhotoLoader.batch

    def lost(self: PhotoLoader, step: int) -> Any:
        if step == 2:
            monkeypatch.setattr(PhotoLoader, "batch", batch)
            raise LostWorkersError("a process is lost.")
        return batch(self, step)

    monkeypatch.setattr(PhotoLoader, "batch", lost)
    heed(PHOTOS, 1, reaches=["runs/drive.py resume"])


def test_of_a_divergence(heed: Heed, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advance = EagerEngine.advance

    def blow_up(self: EagerEngine, lr: float) -> Any:
        made = advance(self, lr)
        if lr > 0.3:
            next(self._state.model.parameters()).data.fill_(float("nan"))
        return made

    monkeypatch.setattr(EagerEngine, "advance", blow_up)
    heed(f"{TRAIN} --set optimizer.lr=1000", 5, reaches=["training/fit.py optimizer.lr"])
    reaches = ["training/fit.py optimizer.lr", "training/fit.py schedule.warmup.factor"]
    heed(f"{TRAIN} --set optimizer.lr=0.4", 5, reaches=reaches)


def test_of_a_divergence_on_a_schedule_without_warm_up(
    heed: Heed, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = EagerEngine.advance

    def blow_up(self: EagerEngine, lr: float) -> Any:
        made = advance(self, lr)
        if lr > 0.005:
            next(self._state.model.parameters()).data.fill_(float("nan"))
        return made

    monkeypatch.setattr(EagerEngine, "advance", blow_up)
    # At the rate that is suggested first it would do so again.
    heed(
        f"{PHOTOS} --set optimizer.lr=0.01".replace("--out run", ""),
        5,
        reaches=["training/fit.py optimizer.lr"],
    )


def test_of_a_budget(heed: Heed, place: Path) -> None:
    heed(f"{TRAIN} --budget 0.01s", 2, reaches=["runs/budget/fit.py budget"])


def test_of_batches_of_one(heed: Heed, photos: Path) -> None:
    typed = PHOTOS.replace("--depth 8", "--model resnet-18").replace("--batch-size 4", "--batch-size 1")
    typed += " --set model.family=imagenet"
    heed(typed, 2, reaches=["runs/assembly.py data.batch_size"])
