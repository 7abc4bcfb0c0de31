"""Photographs that were changed, moved or taken away while a run trained on them, or since."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from photo_run import cut, flags, put_photos, typed
from photographs import spoil
from PIL import Image

from rescli.data.photos.loader import PhotoLoader

Rescli = Callable[..., Any]


EITHER_WAY = pytest.mark.parametrize("damage", [cut, Path.unlink])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return put_photos(tmp_path / "photos")


@pytest.fixture
def weights(rescli: Rescli, photos: Path, tmp_path: Path) -> Path:
    """A checkpoint to begin with, whose normalisation needs no image."""
    answer = rescli("train", *flags(photos), "--iterations", 1, "--out", tmp_path / "first")
    assert answer.code == 0, answer.err
    return tmp_path / "first/checkpoints/last.safetensors"


def test_a_finished_run_has_nothing_left_to_do(rescli: Rescli, weights: Path) -> None:
    answer = rescli("train", "--resume", weights.parents[1])
    assert answer.code == 0
    assert "is finished already, at iteration 1 of 1: nothing was left to do" in answer.err
    assert "waited for images" not in answer.err


class TestWithoutTheSplitsOfTheRun:
    @pytest.mark.parametrize("left", ["neither", "train", "val"])
    def test_on_images_without_the_splits_of_the_run(
        self, rescli: Rescli, photos: Path, weights: Path, tmp_path: Path, left: str
    ) -> None:
        run, other = tmp_path / "run", tmp_path / "other"
        shutil.copytree(photos / "train", other if left == "neither" else other / left)
        spoil(photos / "train/class0/4.png")
        assert rescli("train", *flags(photos), "--from", weights, "--seed", 4, "--out", run).code == 3
        refused = rescli("train", "--resume", run, "--data-root", other)
        assert refused.code == 3, refused.err
        assert "--data-root DIR (the data it began with)" in refused.err
        tried = "--out NEW_DIR"
        assert (tried in refused.err) == (left != "val")
        if left == "val":
            assert f"{other} has no split 'train'; it has val." in refused.err
        else:
            assert f"the images are not those that {run} was trained on: " in refused.err
            assert rescli(*typed(tried, refused.err, NEW_DIR=tmp_path / "new")).code == 0

    @pytest.mark.parametrize("split", ["train", "val"])
    def test_an_evaluation_on_images_without_the_splits_of_the_run(
        self, rescli: Rescli, photos: Path, weights: Path, tmp_path: Path, split: str
    ) -> None:
        shutil.copytree(photos / "train", tmp_path / "other")
        answer = rescli("eval", weights, "--split", split, "--data-root", tmp_path / "other")
        assert (answer.code, "Traceback" in answer.err) == (3, False), answer.err
        assert rescli("eval", weights, "--data-root", tmp_path / "other").code == 0


class TestChangedWhileItTrained:
    """A file that was cut off or deleted meanwhile: every command that the message names works."""

    @pytest.mark.parametrize("suffix", ["png", "jpg"])
    @pytest.mark.parametrize("split", ["train", "val"])
    @EITHER_WAY
    def test_the_commands_work(
        self,
        rescli: Rescli,
        photos: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        damage: Callable[[Path], object],
        split: str,
        suffix: str,
    ) -> None:
        if suffix == "jpg":
            for path in photos.rglob("*.png"):
                with Image.open(path) as image:
                    image.save(path.with_suffix(".jpg"))
                path.unlink()
        run = tmp_path / "run"
        path = photos / split / "class0" / f"4.{suffix}"
        whole = path.read_bytes()
        self.damage_at(monkeypatch, 3, lambda: damage(path))
        stopped = rescli("train", *flags(photos), "--seed", 4, "--out", run)
        monkeypatch.undo()
        assert (stopped.code, stopped.out) == (3, ""), stopped.err
        assert f"{split}/class0/4.{suffix} cannot be decoded" in stopped.err
        assert "is saved, but the images are no longer those that the run began with." in stopped.err
        assert "--resume" not in "".join(line for line in stopped.err.splitlines() if "--skip-" in line)

        other = rescli(*typed("--from", stopped.err, NEW_DIR=tmp_path / "new"), "--json")
        assert other.code == 0, other.err
        gone = not path.exists()
        assert other.json["data"]["num_images"] == {
            "train": 12 - (gone and split == "train"),
            "val": 6 - (gone and split == "val"),
        }
        skipped = other.json["skipped_images" if split == "train" else "skipped_val_images"]
        assert skipped == ([] if gone else [f"class0/4.{suffix}"])
        path.write_bytes(whole)
        going_on = rescli(*typed("--resume", stopped.err), "--json")
        assert going_on.code == 0, going_on.err
        assert (going_on.json["status"], going_on.json["iterations_done"]) == ("finished", 6)

    @EITHER_WAY
    def test_where_val_was_held_out_another_run_begins_anew(
        self,
        rescli: Rescli,
        photos: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        damage: Callable[[Path], object],
    ) -> None:
        run, root = tmp_path / "run", photos / "train"
        self.damage_at(monkeypatch, 3, lambda: [damage(path) for path in (root / "class0").glob("[024].png")])
        stopped = rescli("train", *flags(root), "--set", "data.dataset.val_size=4", "--out", run)
        monkeypatch.undo()
        assert "the images are no longer those" in stopped.err
        assert "--from" not in stopped.err
        anew = rescli(*typed("--out NEW_DIR", stopped.err, NEW_DIR=tmp_path / "new"), "--json")
        assert anew.code == 0, anew.err

    @EITHER_WAY
    def test_before_any_state_the_run_itself_begins_again(
        self,
        rescli: Rescli,
        photos: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        damage: Callable[[Path], object],
    ) -> None:
        run, path = tmp_path / "run", photos / "train/class0/4.png"
        self.damage_at(monkeypatch, 0, lambda: damage(path))
        stopped = rescli("train", *flags(photos), "--batch-size", 12, "--out", run)
        monkeypatch.undo()
        assert "no state was saved yet" in stopped.err
        going_on = rescli(*typed("--resume", stopped.err), "--json")
        assert going_on.code == 0, going_on.err

    def test_with_all_of_them_gone_only_their_return_helps(
        self, rescli: Rescli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away, run = tmp_path / "away", tmp_path / "run"
        self.damage_at(monkeypatch, 3, lambda: photos.rename(away))
        stopped = rescli("train", *flags(photos), "--out", run)
        monkeypatch.undo()
        assert stopped.code == 3
        assert "NEW_DIR" not in stopped.err
        away.rename(photos)
        assert rescli(*typed("--resume", stopped.err)).code == 0

    @staticmethod
    def damage_at(monkeypatch: pytest.MonkeyPatch, step: int, damage: Callable[[], object]) -> None:
        take = PhotoLoader._take

        def damaging(self: PhotoLoader, at: int) -> Any:
            if at == step:
                damage()
            return take(self, at)

        monkeypatch.setattr(PhotoLoader, "_take", damaging)
