"""``rescli eval`` of a run on folders of photographs: every split's name, and other folders than its own."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rescli = Callable[..., Any]
Flags = Callable[..., list[object]]
WriteNoise = Callable[..., None]


@pytest.fixture
def pets(tmp_path: Path, write_noise: WriteNoise) -> Path:
    """Three classes in one flat folder."""
    for seed, name in enumerate(("ant", "bee", "cat")):
        write_noise(tmp_path / "pets" / name, 4, seed)
    return tmp_path / "pets"


@pytest.fixture
def run(rescli: Rescli, pets: Path, small_flags: Flags, tmp_path: Path) -> Path:
    """A run on ``pets``, with one image in four held out."""
    answer = rescli(
        "train", *small_flags(pets), "--set", "data.dataset.val_size=3", "--out", tmp_path / "run"
    )
    assert answer.code == 0, answer.err
    return tmp_path / "run"


def suggested(err: str) -> list[str]:
    """The flags of the error's hint."""
    flags = re.findall(r"--[a-z].*", err.partition("error:")[2].partition("\n")[2])
    assert flags, err
    return shlex.split(re.sub(r" \([^)]*\)$", "", flags[0]))


@pytest.mark.parametrize(
    ("layout", "there"),
    [("train/val", ("train", "val")), ("train", ("train", "val")), ("flat", ("train", "val"))],
)
def test_every_name_of_a_split_is_evaluated_or_refused_with_one_that_is_there(
    rescli: Rescli,
    small_flags: Flags,
    write_noise: WriteNoise,
    tmp_path: Path,
    layout: str,
    there: tuple[str, ...],
) -> None:
    root = tmp_path / "set"
    for part in {"train/val": ("train", "val"), "train": ("train",), "flat": ("",)}[layout]:
        for seed, name in enumerate(("ant", "bee")):
            write_noise(root / part / name, 6, seed)
    run = tmp_path / "run"
    assert rescli("train", *small_flags(root), "--out", run).code == 0
    for split in ("train", "val", "test", "all"):
        answer = rescli("eval", run, "--split", split)
        if split in there:
            assert answer.code == 0, answer.err
        else:
            assert (answer.code, answer.out) == (3, "")
            assert f"no images for {split}; it has {', '.join(there)}" in answer.err
            assert rescli("eval", run, *suggested(answer.err)).code == 0


def test_of_a_drawn_set_too(rescli: Rescli, net8: Path) -> None:
    answer = rescli("eval", net8, "--split", "all", "--device", "cpu")
    assert answer.code == 2
    assert "shapes has no images for all; it has train, val, test" in answer.err


def test_a_folder_of_some_of_the_classes_is_scored_among_the_right_ones(
    rescli: Rescli, run: Path, pets: Path, tmp_path: Path
) -> None:
    for name in ("bee", "cat"):
        shutil.copytree(pets / name, tmp_path / "some" / name)
    answer = rescli("eval", run, "--data-root", tmp_path / "some", "--json", "--per-class")
    assert answer.code == 0, answer.err
    assert "has 2 of the net's 3 classes, found by their names" in answer.err
    (row,) = answer.json["results"]
    assert (row["split"], row["num_images"], row["num_classes"]) == ("all", 8, 3)
    assert row["subset"]["num_classes"] == 2
    # Among all of the net's classes an image counts as on the whole folder.
    (whole,) = rescli(
        "eval", run, "--dataset", "imagefolder", "--data-root", pets, "--json", "--per-class"
    ).json["results"]
    wrong = {one["class"]: one["top1_error"] * one["num_images"] / 100 for one in whole["per_class"]}
    assert row["top1_error"] * 8 / 100 == pytest.approx(wrong["bee"] + wrong["cat"])
    assert [one["class"] for one in row["per_class"]] == ["bee", "cat"]


def test_a_class_that_the_net_lacks_is_refused_with_a_near_name(
    rescli: Rescli, run: Path, pets: Path, tmp_path: Path
) -> None:
    shutil.copytree(pets / "bee", tmp_path / "other" / "Bee")
    shutil.copytree(pets / "cat", tmp_path / "other" / "cat")
    answer = rescli("eval", run, "--data-root", tmp_path / "other")
    assert (answer.code, answer.out) == (4, "")
    assert "does not know 1 of the data set's 2 classes: Bee (bee?)" in answer.err


def test_the_hint_for_another_set_works_as_typed(
    rescli: Rescli, run: Path, pets: Path, tmp_path: Path
) -> None:
    for name in ("bee", "cat"):
        shutil.copytree(pets / name, tmp_path / "some" / name)
    where = ("--dataset", "imagefolder", "--data-root", tmp_path / "some")
    answer = rescli("eval", run, *where)
    assert answer.code == 4
    assert suggested(answer.err) == ["--classes", "names"]
    assert rescli("eval", run, *where, *suggested(answer.err)).code == 0


def test_the_runs_own_folder_changed_is_refused_and_the_hint_works(
    rescli: Rescli, run: Path, pets: Path
) -> None:
    shutil.rmtree(pets / "ant")
    answer = rescli("eval", run)
    assert (answer.code, answer.out) == (3, "")
    assert "ant gone" in answer.err
    answer = rescli("eval", run, *suggested(answer.err), "--json")
    assert answer.code == 0, answer.err
    assert answer.json["results"][0]["num_images"] == 8
    assert f"was trained on images of {pets}" in " ".join(answer.err.split())


def test_other_images_of_the_same_classes_are_refused_and_the_hint_works(
    rescli: Rescli, run: Path, pets: Path, write_noise: WriteNoise
) -> None:
    write_noise(pets / "ant", 4, seed=99)
    answer = rescli("eval", run)
    assert answer.code == 3
    assert "fingerprints differ" in answer.err
    answer = rescli("eval", run, *suggested(answer.err), "--json")
    assert answer.code == 0, answer.err
    assert answer.json["results"][0]["num_images"] == 12
    assert f"was trained on images of {pets}" in " ".join(answer.err.split())


def test_a_net_whose_classes_stand_in_another_order_is_scored_by_their_names(
    rescli: Rescli, run: Path, pets: Path, tmp_path: Path
) -> None:
    from dataclasses import replace

    from rescli.checkpoints.checkpoint import Checkpoint

    first = Checkpoint.read(run / "checkpoints" / "last.safetensors")
    order = [2, 0, 1]
    turned = {
        name: tensor[order] if name.startswith("fc.") else tensor for name, tensor in first.tensors.items()
    }
    names = tuple(first.class_names[place] for place in order)
    dataset = first.dataset.model_copy(update={"classes": names})
    path = tmp_path / "turned.safetensors"
    replace(first, tensors=turned, class_names=names, dataset=dataset, spec=None).write(path)
    where = ("--dataset", "imagefolder", "--data-root", pets)
    for root in (where, where[2:]):
        rows = [rescli("eval", net, *where, "--json").json["results"][0] for net in (run, path)]
        assert rescli("eval", path, *root).code == 0
        assert rows[0]["top1_error"] == rows[1]["top1_error"]
        assert rows[0]["loss"] == pytest.approx(rows[1]["loss"], rel=1e-6)
        assert "subset" not in rows[1]
    answer = rescli("eval", run, path, *where, "--ensemble")
    assert answer.code == 2
    assert "other classes, or the same in another order" in answer.err


@pytest.mark.parametrize("key", ["train_folder", "labels", "labels by name"])
def test_what_was_said_of_the_runs_own_folder_holds_for_no_other(
    rescli: Rescli, small_flags: Flags, write_noise: WriteNoise, tmp_path: Path, key: str
) -> None:
    own, other, run = tmp_path / "own", tmp_path / "other", tmp_path / "run"
    for seed, name in enumerate(("ant", "bee")):
        write_noise(own / "Pictures" / name, 6, seed)
        write_noise(other / "train" / name, 6, seed)
        write_noise(other / "val" / name, 3, seed + 2)
    said = ["data.dataset.train_folder=Pictures"]
    if key != "train_folder":
        by_name = key == "labels by name"
        said = ["data.dataset.labels=names" if by_name else "data.dataset.labels=own.csv:kind"]
        rows = ["file,kind"]
        for path in sorted((own / "Pictures").rglob("*.*")):
            kind = path.parent.name
            name = f"{kind}_{path.stem}{path.suffix}" if by_name else f"{len(rows)}{path.suffix}"
            path.rename(own / name)
            rows.append(f"{name},{kind}")
        shutil.rmtree(own / "Pictures")
        if not by_name:
            (own / "own.csv").write_text("\n".join(rows))
    trained = rescli(
        "train", *small_flags(own), *(part for one in said for part in ("--set", one)), "--out", run
    )
    assert trained.code == 0, trained.err
    answer = rescli("eval", run, "--data-root", other, "--json")
    if key != "train_folder":  # parts and classes of the same names: nothing tells that it is another
        assert answer.code == 3
        answer = rescli("eval", run, *suggested(answer.err), "--json")
    assert answer.code == 0, answer.err
    (row,) = answer.json["results"]
    assert (row["split"], row["num_images"], row["num_classes"]) == ("val", 6, 2)
    shutil.move(other / "val", tmp_path / "flat")
    flat = rescli("eval", run, "--data-root", tmp_path / "flat", "--json")
    if flat.code:
        flat = rescli("eval", run, *suggested(flat.err), "--json")
    assert flat.code == 0, flat.err
    assert rescli("eval", run, "--json").json["results"][0]["split"] == "val"
    # Its own folder, named, is its own.
    named = rescli("eval", run, "--data-root", own, "--json")
    assert named.code == 0, named.err
    nothing = rescli("eval", run, "--data-root", tmp_path / "nothing")
    assert (nothing.code, "Traceback" in nothing.err) == (3, False)


def test_of_a_run_that_held_images_out_another_folder_is_evaluated_whole(
    rescli: Rescli, run: Path, tmp_path: Path, write_noise: WriteNoise
) -> None:
    for seed, name in enumerate(("ant", "bee", "cat")):
        write_noise(tmp_path / "new" / name, 2, seed + 10)
        write_noise(tmp_path / "tested" / "test" / name, 3, seed + 20)
    row = rescli("eval", run, "--data-root", tmp_path / "new", "--json").json["results"][0]
    assert (row["split"], row["num_images"]) == ("all", 6)
    answer = rescli("eval", run, "--data-root", tmp_path / "tested", "--split", "test", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["results"][0]["num_images"] == 9
