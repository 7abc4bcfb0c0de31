from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescli.data.folders.specs import ImageFolderSpec

Rescli = Callable[..., Any]


def test_a_sound_tree_of_links(torture: Path, tmp_path: Path, rescli: Rescli) -> None:
    answer = rescli("data", "tidy", "--data-root", torture, "--out", tmp_path / "sound")
    assert (answer.code, answer.out) == (0, f"{tmp_path / 'sound'}\n")
    assert (
        "left out: 4 images that cannot be decoded: train cat/cut.jpg, train cat/page.jpg, "
        "train dog/depth.tif" in answer.err
    )
    spec = ImageFolderSpec()
    before, after = spec.survey(torture), spec.survey(tmp_path / "sound")
    assert before is not None
    assert after is not None
    assert after.class_names == before.class_names
    assert after.counts == {"train": before.counts["train"] - 3, "val": before.counts["val"] - 1}
    assert not [finding for finding in after.findings if finding.kind in ("note", "left out")]
    link = tmp_path / "sound/train/bird/owl/0.jpg"
    assert os.readlink(link) == str(torture / "Train/bird/owl/0.jpg")


def test_what_a_table_labels_goes_into_class_folders(
    tmp_path: Path, put_files: Callable[..., Path], rescli: Rescli
) -> None:
    root = put_files(tmp_path / "kaggle", "train/1.jpg", "train/2.jpg")
    (root / "train.csv").write_text("image,label\n1.jpg,ant\n2.jpg,bee\n")
    assert rescli("data", "tidy", "--data-root", root, "--out", tmp_path / "sound", "--copy").code == 0
    assert (tmp_path / "sound/train/ant/1.jpg").is_file()
    assert not (tmp_path / "sound/train/bee/2.jpg").is_symlink()


def test_classes_that_train_lacks_and_names_of_an_old_archive(
    tmp_path: Path, put_files: Callable[..., Path], rescli: Rescli
) -> None:
    root = put_files(tmp_path / "p", "train/caf\udce9/1.jpg", "train/b/1.jpg", "val/b/1.jpg", "val/Z/1.jpg")
    answer = rescli("data", "tidy", "--data-root", root, "--out", tmp_path / "sound")
    assert "renamed: caf\\xe9 to café" in answer.err
    assert "left out of val: classes that train lacks: Z" in answer.err
    assert sorted(os.listdir(tmp_path / "sound/train")) == ["b", "café"]
    assert ImageFolderSpec().resolved(tmp_path / "sound").classes == ("b", "café")


@pytest.mark.parametrize(("out", "code"), [("there", 2), ("file/below", 4)])
def test_nothing_is_overwritten_or_left(
    tmp_path: Path, put_files: Callable[..., Path], rescli: Rescli, out: str, code: int
) -> None:
    root = put_files(tmp_path / "p", "a/1.jpg", "b/1.jpg")
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    assert rescli("data", "tidy", "--data-root", root, "--out", tmp_path / out).code == code
    assert sorted(os.listdir(tmp_path)) == ["file", "p", "there"]


def test_no_link_outside_and_no_two_classes_in_one_folder(
    tmp_path: Path, put_files: Callable[..., Path], rescli: Rescli
) -> None:
    root = put_files(tmp_path / "p", *(f"{number}.jpg" for number in range(6)))
    labels = ["../../evil", "/abs", "a/b", ".", "plain", "a_b"]
    (root / "labels.csv").write_text(
        "".join(f"{number}.jpg,{label}\n" for number, label in enumerate(labels))
    )
    assert rescli("data", "tidy", "--data-root", root, "--out", tmp_path / "x/sound").code == 0
    found = sorted(os.listdir(tmp_path / "x/sound"))
    assert found == ["_.", "_.._.._evil", "_abs", "a_b", "a_b_", "plain"]
    assert all(len(os.listdir(tmp_path / "x/sound" / name)) == 1 for name in found)
    assert sorted(os.listdir(tmp_path)) == ["p", "x"]


def test_two_names_that_become_one_stay_two(
    tmp_path: Path, put_files: Callable[..., Path], rescli: Rescli
) -> None:
    root = put_files(tmp_path / "p", "caf\udce9/1.jpg", "café/1.jpg", "b/1.jpg")
    assert "all: 3 images" in rescli("data", "tidy", "--data-root", root, "--out", tmp_path / "sound").err
    assert sorted(os.listdir(tmp_path / "sound")) == ["b", "café", "café_"]


def test_not_into_the_folder_itself(tmp_path: Path, put_files: Callable[..., Path], rescli: Rescli) -> None:
    root = put_files(tmp_path / "p", "a/1.jpg", "b/1.jpg")
    answer = rescli("data", "tidy", "--data-root", root, "--out", root / "tidied")
    assert answer.code == 2
    assert sorted(os.listdir(root)) == ["a", "b"]


def fill(*folders: str) -> list[str]:
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(3)]


@pytest.mark.parametrize(
    ("names", "says", "way"),
    [
        (
            fill(*(f"fold{number}/{name}" for number in range(1, 6) for name in ("cat", "dog"))),
            "look like splits, not classes",
            "data.dataset.train_folder=fold1 data.dataset.val_folder=fold2",
        ),
        (fill("all/cat", "all/dog"), "a net needs two", "--data-root"),
        (
            fill("cat", "dog", "validation/x/y"),
            "has no training images: val only, beside cat, dog",
            'data.dataset.exclude=["validation"]',
        ),
        (fill("train/cat", "train/dog", "val/images"), "that train lacks", 'data.dataset.exclude=["images"]'),
    ],
    ids=["folds", "a folder around the classes", "a split among the classes", "a split of other classes"],
)
def test_what_a_setting_mends_is_refused_before_anything_is_decoded(
    tmp_path: Path,
    put_files: Callable[..., Path],
    rescli: Rescli,
    names: list[str],
    says: str,
    way: str,
) -> None:
    root = put_files(tmp_path / "p", *names)
    typed = ["data", "tidy", "--data-root", str(root), "--out", str(tmp_path / "sound")]
    refused = rescli(*typed)
    assert refused.code == 3
    assert says in refused.err
    assert os.listdir(tmp_path) == ["p"]
    if way == "--data-root":
        typed[3] = str(root / "all")
    else:
        typed += [word for pair in way.split(" ") for word in ("--set", pair)]
    assert rescli(*typed).code == 0
    assert ImageFolderSpec().resolved(tmp_path / "sound").num_classes == 2


def test_a_tree_that_no_net_can_be_trained_on_says_so(
    tmp_path: Path, put_files: Callable[..., Path], rescli: Rescli
) -> None:
    one = put_files(tmp_path / "one", *fill("cat"))
    answer = rescli("data", "tidy", "--data-root", one, "--out", tmp_path / "sound")
    assert answer.code == 0
    assert "no net can be trained on it as it is" in answer.err
    assert "one class, cat" in answer.err
    assert "rescli train" not in answer.err
    val = put_files(tmp_path / "half", *fill("val/cat", "val/dog"))
    answer = rescli("data", "tidy", "--data-root", val, "--out", tmp_path / "half-sound")
    assert "has no training images: val only" in answer.err


def test_classes_that_are_damaged_altogether_leave_too_few(
    tmp_path: Path, put_files: Callable[..., Path], rescli: Rescli
) -> None:
    root = put_files(tmp_path / "p", *fill("cat", "dog"))
    for number in range(3):
        (root / f"dog/{number}.jpg").write_bytes(b"\xff\xd8\xff")
    answer = rescli("data", "tidy", "--data-root", root, "--out", tmp_path / "sound")
    assert "no net can be trained on it as it is" in answer.err
    assert "one class, cat" in answer.err


def test_what_is_left_out_the_table_and_the_next_command(
    tmp_path: Path, put_files: Callable[..., Path], rescli: Rescli
) -> None:
    root = put_files(tmp_path / "p", *fill("train"), "test/9.jpg", "train/notes.txt")
    (root / "train/notes.txt").write_text("nothing to see")
    (root / "train.csv").write_text("image,label\n0.jpg,ant\n1.jpg,bee\n2.jpg,bee\n")
    made = tmp_path / "so und"
    sizes = ("--set", "data.dataset.image_size=32", "--set", "data.dataset.orientation=upright")
    answer = rescli("data", "tidy", "--data-root", root, "--out", made, *sizes)
    assert (answer.code, answer.out) == (0, f"{made}\n")
    assert "train is labelled by train.csv" in answer.err
    assert "left out: test: its images have no labels" in answer.err
    assert "1 file that is no image: 1 .txt" in answer.err
    command = answer.err.splitlines()[-1].removeprefix("train on it: rescli ")
    planned = rescli(*shlex.split(command), "--dry-run", "--json")
    assert planned.code == 0
    dataset = planned.json["spec"]["data"]["dataset"]
    assert (dataset["image_size"], dataset["orientation"]) == (32, "upright")
    assert dataset["classes"] == ["ant", "bee"]
