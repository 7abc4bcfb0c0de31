"""Damaged photographs in any part of a training: found before it begins, left out, or got past."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.photos import probe
from rescli.data.photos.loader import PhotoLoader

Rescli = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root, rng = tmp_path / "photos", np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 6)):
        for number in range(count):
            path = root / split / f"class{number % 2}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(path)
    return root


@pytest.fixture
def weights(rescli: Rescli, photos: Path, tmp_path: Path) -> Path:
    """A checkpoint to begin with, whose normalisation needs no image."""
    answer = rescli("train", *flags(photos), "--iterations", 1, "--out", tmp_path / "first")
    assert answer.code == 0, answer.err
    return tmp_path / "first/checkpoints/last.safetensors"


def flags(root: Path) -> list[object]:
    return [
        *("imagefolder/32", "--data-root", root, "--set", "model.depth=8", "--set", "model.width=4"),
        *("--iterations", 6, "--batch-size", 4, "--device", "cpu", "--workers", 0),
        *("--set", "evaluation.every=2", "--set", "checkpoint.every=6", "--set", "metrics.every=1"),
    ]


def test_a_finished_run_has_nothing_left_to_do(rescli: Rescli, weights: Path) -> None:
    answer = rescli("train", "--resume", weights.parents[1])
    assert answer.code == 0
    assert "is finished already, at iteration 1 of 1: nothing was left to do" in answer.err
    assert "waited for images" not in answer.err


def cut(path: Path) -> None:
    """As of a broken download: its end tells."""
    path.write_bytes(path.read_bytes()[:900])


def rot(path: Path) -> None:
    """As of a bad disk: only a decoding tells."""
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 64] = bytes(64)
    path.write_bytes(whole)


def typed(hint: str, err: str, **words: object) -> list[str]:
    """The arguments of the command that a message names, words in capitals replaced."""
    (line,) = [line for line in err.splitlines() if re.search(hint, line)]
    command = line.strip().removeprefix("try: ").split("  #")[0]
    for word, value in words.items():
        command = command.replace(word, str(value))
    program, *arguments = shlex.split(command)
    assert program == "rescli"
    return arguments


def record_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "record.json").read_text())
    return found


def tensors(run: Path) -> dict[str, Any]:
    return Checkpoint.read(run / "checkpoints/last.safetensors").tensors


class TestBeforeTheFirstIteration:
    @pytest.mark.parametrize("damage", [cut, rot, lambda path: path.write_bytes(b"<html>")])
    def test_a_damaged_validation_image_is_named(
        self, rescli: Rescli, photos: Path, tmp_path: Path, damage: Callable[[Path], object]
    ) -> None:
        damage(photos / "val/class1/3.png")
        answer = rescli("train", *flags(photos), "--out", tmp_path / "run")
        assert (answer.code, answer.out) == (3, "")
        assert "1 of the 6 val images cannot be read" in answer.err
        assert "val/class1/3.png cannot be decoded" in answer.err
        assert "or to go on without them: try --skip-damaged\n" in answer.err
        assert not (tmp_path / "run").exists()

    def test_a_training_image_that_was_cut_off_is_named(
        self, rescli: Rescli, photos: Path, weights: Path, tmp_path: Path
    ) -> None:
        for number in range(0, 10, 2):
            cut(photos / f"train/class0/{number}.png")
        answer = rescli("train", *flags(photos), "--from", weights, "--out", tmp_path / "run")
        assert answer.code == 3
        assert "5 of the 12 train images cannot be read" in answer.err
        assert "; and 2 more." in answer.err

    def test_a_file_that_ends_oddly_may_be_whole(self, rescli: Rescli, photos: Path, tmp_path: Path) -> None:
        path = photos / "train/class0/0.png"
        path.write_bytes(path.read_bytes() + bytes(4000))  # as some cameras do
        with Image.open(photos / "val/class0/0.png") as image:
            image.save(photos / "val/class0/7.jpg", "GIF")
        assert rescli("train", *flags(photos), "--iterations", 1, "--out", tmp_path / "run").code == 0


class TestLeftOut:
    def test_in_val_it_is_not_counted_and_listed(self, rescli: Rescli, photos: Path, tmp_path: Path) -> None:
        cut(photos / "val/class1/3.png")
        answer = rescli("train", *flags(photos), "--skip-damaged", "--out", tmp_path / "run", "--json")
        assert answer.code == 0, answer.err
        assert answer.json["skipped_val_images"] == ["class1/3.png"]
        assert answer.json["skipped_images"] == []
        assert answer.json["data"]["num_images"]["val"] == 6
        assert answer.json["results"]["val"]["num_images"] == 5
        assert "1 damaged validation image is not counted: class1/3.png" in answer.err
        # The others count as they would without it.
        (photos / "val/class1/3.png").unlink()
        other = rescli("train", *flags(photos), "--out", tmp_path / "other", "--json").json
        without, counted = other["results"]["val"], answer.json["results"]["val"]
        assert without["loss"] == pytest.approx(counted["loss"], rel=1e-6)
        assert without["top1_error"] == counted["top1_error"]
        trained, found = tensors(tmp_path / "other"), tensors(tmp_path / "run")
        assert all(tensor.equal(found[name]) for name, tensor in trained.items())

    def test_an_evaluation_leaves_it_out_when_told_or_where_the_training_did(
        self, rescli: Rescli, photos: Path, tmp_path: Path
    ) -> None:
        assert rescli("train", *flags(photos), "--out", tmp_path / "whole").code == 0
        rot(photos / "val/class1/3.png")
        own = ("eval", tmp_path / "whole", "--split", "val", "--json")
        assert "the val images are not those" in rescli(*own).err
        other = ("--dataset", "imagefolder", "--classes", "names", "--data-root", photos)
        refused = rescli(*own, *other)
        assert refused.code == 3
        assert "val/class1/3.png cannot be decoded" in refused.err
        assert refused.err.endswith("\n  --skip-damaged\n")
        answer = rescli(*own, *other, "--skip-damaged")
        assert answer.code == 0, answer.err
        (row,) = answer.json["results"]
        assert (row["num_images"], row["skipped_images"]) == (5, ["class1/3.png"])
        assert "1 damaged image is not counted: class1/3.png" in answer.err

        run = ("train", *flags(photos), "--skip-damaged", "--out", tmp_path / "run", "--json")
        counted = rescli(*run).json["results"]["val"]
        (row,) = rescli("eval", tmp_path / "run", "--split", "val", "--json").json["results"]
        assert (row["num_images"], row["top1_error"]) == (5, counted["top1_error"])

    def test_all_of_val_is_an_error(self, rescli: Rescli, photos: Path, tmp_path: Path) -> None:
        for path in (photos / "val").rglob("*.png"):
            cut(path)
        answer = rescli("train", *flags(photos), "--skip-damaged", "--out", tmp_path / "run")
        assert answer.code == 3
        assert "all 6 validation images are damaged" in answer.err


class TestInTheMiddle:
    def test_in_train_the_state_is_saved_and_the_hint_goes_on(
        self, rescli: Rescli, photos: Path, weights: Path, tmp_path: Path
    ) -> None:
        run = tmp_path / "run"
        rot(photos / "train/class0/4.png")
        stopped = rescli("train", *flags(photos), "--from", weights, "--seed", 4, "--out", run)
        assert stopped.code == 3
        record = record_of(run)
        assert record["status"] == "failed"
        step = record["last_saved_iteration"]
        assert step in (1, 2)  # three batches an epoch
        assert f"the state of iteration {step} is saved" in stopped.err
        going_on = rescli(*typed("--resume", stopped.err), "--json")
        assert going_on.code == 0, going_on.err
        assert going_on.json["skipping_since"] == step
        assert going_on.json["resumed_at"] == [step]
        assert going_on.json["skipped_images"] == ["class0/4.png"]
        # The same bits as where it was left out from the beginning.
        begun = ("--from", weights, "--seed", 4, "--skip-damaged", "--out", tmp_path / "whole")
        assert rescli("train", *flags(photos), *begun).code == 0
        assert all(one.equal(tensors(run)[name]) for name, one in tensors(tmp_path / "whole").items())
        # A later resume needs no flag.
        assert rescli("train", "--resume", run).code == 0
        assert "skip_damaged = true" in (run / "spec.toml").read_text()

    def test_before_any_state_the_hint_begins_again(
        self, rescli: Rescli, photos: Path, weights: Path, tmp_path: Path
    ) -> None:
        run, path = tmp_path / "run", photos / "train/class0/4.png"
        rot(path)
        begun = ("train", *flags(photos), "--from", weights, "--batch-size", 12)
        stopped = rescli(*begun, "--out", run)
        assert stopped.code == 3
        assert "no state was saved yet" in stopped.err
        going_on = rescli(*typed("--resume", stopped.err), "--json")
        assert going_on.code == 0, going_on.err
        assert going_on.json["skipped_images"] == ["class0/4.png"]
        assert (going_on.json["skipping_since"], going_on.json["resumed_at"]) == (0, [])
        # Or with the images as they are by then: there is nothing that they could contradict.
        assert rescli(*begun, "--out", tmp_path / "other").code == 3
        path.unlink()
        anew = rescli("train", "--resume", tmp_path / "other", "--json")
        assert anew.code == 0, anew.err
        assert anew.json["data"]["num_images"] == {"train": 11, "val": 6}

    @pytest.mark.parametrize("replaced", [False, True])
    def test_with_the_file_removed_or_replaced_the_hint_begins_another_run(
        self, rescli: Rescli, photos: Path, weights: Path, tmp_path: Path, replaced: bool
    ) -> None:
        run, path = tmp_path / "run", photos / "train/class0/4.png"
        rot(path)
        stopped = rescli("train", *flags(photos), "--from", weights, "--seed", 4, "--out", run)
        assert stopped.code == 3
        path.unlink()
        if replaced:
            Image.new("RGB", (40, 40)).save(path)
        refused = rescli("train", "--resume", run)
        assert refused.code == 3
        assert f"the images are not those that {run} was trained on" in refused.err
        other = rescli(*typed("--from", refused.err, NEW_DIR=tmp_path / "new"), "--json")
        assert other.code == 0, other.err
        assert other.json["data"]["num_images"]["train"] == (12 if replaced else 11)
        anew = rescli(*typed("once it is replaced", stopped.err, NEW_DIR=tmp_path / "anew"), "--json")
        assert anew.code == 0, anew.err

    def test_of_a_held_out_part_another_is_drawn_in_a_run_of_its_own(
        self, rescli: Rescli, photos: Path, weights: Path, tmp_path: Path
    ) -> None:
        run, path = tmp_path / "run", photos / "train/class0/4.png"
        rot(path)
        root = photos / "train"
        stopped = rescli("train", *flags(root), "--from", weights, "--seed", 4, "--out", run)
        assert stopped.code == 3, stopped.err
        path.unlink()
        refused = rescli("train", "--resume", run)
        assert (refused.code, "10 train images in place of 11" in refused.err) == (3, True), refused.err
        anew = rescli(*typed("--out NEW_DIR", refused.err, NEW_DIR=tmp_path / "new"), "--json")
        assert anew.code == 0, anew.err
        assert anew.json["data"]["num_images"] == {"train": 10, "val": 1}

    @pytest.mark.parametrize("left", ["neither", "train", "val"])
    def test_on_images_without_the_splits_of_the_run(
        self, rescli: Rescli, photos: Path, weights: Path, tmp_path: Path, left: str
    ) -> None:
        run, other = tmp_path / "run", tmp_path / "other"
        shutil.copytree(photos / "train", other if left == "neither" else other / left)
        rot(photos / "train/class0/4.png")
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

    def test_in_val_the_evaluation_is_made_when_the_run_goes_on(
        self, rescli: Rescli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(probe, "_MOST_PIXELS", 0)  # as of a val too large to be decoded beforehand
        run = tmp_path / "run"
        rot(photos / "val/class1/3.png")
        stopped = rescli("train", *flags(photos), "--out", run)
        assert stopped.code == 3
        assert "the state of iteration 2 is saved" in stopped.err
        assert "val/class1/3.png" in stopped.err
        going_on = rescli(*typed("--resume", stopped.err), "--json")
        assert going_on.code == 0, going_on.err
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [(row["iteration"], row["num_images"]) for row in rows if row["event"] == "val"] == [
            (2, 5),
            (4, 5),
            (6, 5),
        ]
        assert going_on.json["skipped_val_images"] == ["class1/3.png"]

    def test_no_other_key_may_change(self, rescli: Rescli, photos: Path, tmp_path: Path) -> None:
        assert rescli("train", *flags(photos), "--out", tmp_path / "run").code == 0
        answer = rescli("train", "--resume", tmp_path / "run", "--skip-damaged", "--batch-size", 5)
        assert answer.code == 2
        assert "these keys differ: data.batch_size" in answer.err


class TestChangedWhileItTrained:
    """A file that was cut off or deleted meanwhile: every command that the message names works."""

    @pytest.mark.parametrize("suffix", ["png", "jpg"])
    @pytest.mark.parametrize("split", ["train", "val"])
    @pytest.mark.parametrize("damage", [cut, Path.unlink])
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

    @pytest.mark.parametrize("damage", [cut, Path.unlink])
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

    @pytest.mark.parametrize("damage", [cut, Path.unlink])
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
