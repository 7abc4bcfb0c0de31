"""What ``rescli train`` and ``rescli data verify`` say of folders as people have them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from photographs import put_pictures, write_torture

Rescli = Callable[..., Any]

SMALL = [
    *("--dataset", "imagefolder", "--depth", 18, "--set", "model.width=4", "--device", "cpu"),
    *("--batch-size", 4, "--iterations", 2, "--workers", 0, "--set", "metrics.every=1"),
    *("--set", "data.dataset.image_size=64"),
]


def plan(rescli: Rescli, root: Path, *more: object) -> Any:
    return rescli("train", *SMALL, "--data-root", root, "--dry-run", *more)


def test_a_valid_folder_is_the_validation_part(rescli: Rescli, tmp_path: Path) -> None:
    names = [f"{split}/{name}/{n}.jpg" for split in ("train", "valid") for name in "ab" for n in "12"]
    put_pictures(tmp_path, *names)
    answer = plan(rescli, tmp_path)
    assert "val is the folder valid" in answer.err
    assert "held_out = false" in answer.out
    assert "num_val = 4" in answer.out


def test_the_same_command_twice_from_inside_the_folder(
    rescli: Rescli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_pictures(tmp_path, *(f"{name}/{n}.jpg" for name in "ab" for n in range(6)))
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        answer = rescli("train", *SMALL, "--data-root", ".", "--json")
        assert answer.code == 0
    assert "left out: runs: runs of rescli, no class" in answer.err
    assert answer.json["results"]["val"]["num_images"] == 1


def test_a_class_of_the_wrong_case(rescli: Rescli, tmp_path: Path) -> None:
    put_pictures(tmp_path, "train/bee/1.jpg", "train/ant/1.jpg", "val/Bee/1.jpg")
    answer = plan(rescli, tmp_path)
    assert answer.code == 3
    assert "error: val has 1 class that train lacks: Bee (Bee: did you mean bee?)" in answer.err
    assert "--set" not in answer.err.partition("error: ")[2]  # to leave out what was meant would be a loss
    put_pictures(tmp_path, "val/zebra/1.jpg")
    (tmp_path / "val/Bee").rename(tmp_path / "val/bee")
    answer = plan(rescli, tmp_path)
    (flag,) = [line.strip() for line in answer.err.splitlines() if line.startswith("  --set")]
    assert flag == "--set 'data.dataset.exclude=[\"zebra\"]' (to leave it out)"
    assert plan(rescli, tmp_path, *shlex.split(flag.partition(" (")[0])).code == 0
    verified = rescli("data", "verify", "imagefolder", "--data-root", tmp_path)
    assert verified.code == 3
    assert "fault: val has 1 class that train lacks: zebra" in verified.out


def test_a_name_that_is_no_utf8_never_reaches_the_run(
    rescli: Rescli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put_pictures(tmp_path / "z", "train/b/1.jpg", "train/caf\udce9/1.jpg")
    answer = rescli("train", *SMALL, "--data-root", "z")
    assert answer.code == 3
    assert r"1 class with a name that is no UTF-8: caf\xe9" in answer.err
    assert os.listdir(tmp_path) == ["z"]


def test_cifars_folder_is_no_folder_of_photographs(rescli: Rescli, tmp_path: Path) -> None:
    for name in ("data_batch_1", "batches.meta"):
        (tmp_path / "cifar-10-batches-py").mkdir(exist_ok=True)
        (tmp_path / "cifar-10-batches-py" / name).touch()
    answer = plan(rescli, tmp_path)
    assert answer.code == 3
    assert "there are only files that are no images" in answer.err


def test_json_of_a_dry_run_holds_what_was_found(rescli: Rescli, tmp_path: Path) -> None:
    put_pictures(tmp_path, "a/1.jpg", "b/1.jpg", "b/notes.txt.jpg")
    (tmp_path / "a/readme.md").touch()
    found = plan(rescli, tmp_path, "--json", "--quiet").json["survey"]
    assert found["class_names"] == ["a", "b"]
    assert {"kind": "left out", "text": "1 file that is no image: 1 .md"} in found["findings"]


def test_what_is_odd_is_said_quietly_too(rescli: Rescli, tmp_path: Path) -> None:
    put_pictures(tmp_path, *(f"{name}/{number}.jpg" for name in "ab" for number in range(3)))
    (tmp_path / "a/readme.md").touch()
    answer = plan(rescli, tmp_path, "--quiet")
    assert "odd: 2 classes of fewer than 5 training images: a 3, b 3" in answer.err
    assert "left out" not in answer.err
    assert "photographs in" not in answer.err


def test_everything_odd_at_once_trains_and_is_evaluated(rescli: Rescli, tmp_path: Path) -> None:
    root = tmp_path / "torture"
    write_torture(root)
    run = tmp_path / "run"
    answer = rescli("train", *SMALL, "--data-root", root, "--skip-damaged", "--out", run, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["results"]["val"]["num_images"] == 14
    evaluated = rescli("eval", tmp_path / "run", "--skip-damaged", "--json")
    assert evaluated.code == 0, evaluated.err
    assert evaluated.json["results"][0]["top1_error"] == answer.json["results"]["val"]["top1_error"]
    refused = rescli("train", *SMALL, "--data-root", root, "--out", tmp_path / "other")
    assert refused.code == 3
    assert "--skip-damaged" in refused.err


def test_nets_are_compared_on_photographs_of_ones_own(rescli: Rescli, tmp_path: Path) -> None:
    root, runs = tmp_path / "photos", tmp_path / "runs"
    names = [f"{split}/{name}/{n}.jpg" for split in ("train", "val", "test") for name in "ab" for n in "12"]
    put_pictures(root, *names)
    answer = rescli(
        *(
            "compare",
            "plain-18",
            "resnet-18",
            "--dataset",
            "imagefolder",
            "--data-root",
            root,
            "--device",
            "cpu",
        ),
        *("--iterations", 2, "--set", "model.width=4", "--set", "data.batch_size=4", "--json"),
        *("--set", "data.dataset.image_size=64", "--runs", runs, "--out", tmp_path / "compared"),
    )
    assert answer.code == 0, answer.err
    assert answer.err.count("warning: 2 classes of fewer than 5 training images: a 2, b 2") == 1
    assert len(list(runs.iterdir())) == 2
