"""Damaged photographs in any part of a training: found before it begins, left out, or got past."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from photo_run import cut, flags, put_photos, record_of, tensors, typed
from photographs import spoil
from PIL import Image

from rescli.data.photos import probe

Rescli = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return put_photos(tmp_path / "photos")


@pytest.fixture
def weights(rescli: Rescli, photos: Path, tmp_path: Path) -> Path:
    """A checkpoint to begin with, whose normalisation needs no image."""
    answer = rescli("train", *flags(photos), "--iterations", 1, "--out", tmp_path / "first")
    assert answer.code == 0, answer.err
    return tmp_path / "first/checkpoints/last.safetensors"


class TestBeforeTheFirstIteration:
    @pytest.mark.parametrize("damage", [cut, spoil, lambda path: path.write_bytes(b"<html>")])
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
        spoil(photos / "val/class1/3.png")
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
        spoil(photos / "train/class0/4.png")
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
        spoil(path)
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
        spoil(path)
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
        spoil(path)
        root = photos / "train"
        stopped = rescli("train", *flags(root), "--from", weights, "--seed", 4, "--out", run)
        assert stopped.code == 3, stopped.err
        path.unlink()
        refused = rescli("train", "--resume", run)
        assert (refused.code, "10 train images in place of 11" in refused.err) == (3, True), refused.err
        anew = rescli(*typed("--out NEW_DIR", refused.err, NEW_DIR=tmp_path / "new"), "--json")
        assert anew.code == 0, anew.err
        assert anew.json["data"]["num_images"] == {"train": 10, "val": 1}

    def test_in_val_the_evaluation_is_made_when_the_run_goes_on(
        self, rescli: Rescli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(probe, "_MOST_PIXELS", 0)  # as of a val too large to be decoded beforehand
        run = tmp_path / "run"
        spoil(photos / "val/class1/3.png")
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
