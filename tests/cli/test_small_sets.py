"""Folders of few images and few classes: what is not there is said, and what can be done is done."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rescli = Callable[..., Any]
Flags = Callable[..., list[object]]


def test_two_classes_have_no_top5_error_anywhere(
    rescli: Rescli, pairs: Path, small_flags: Flags, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    answer = rescli("train", *small_flags(pairs), "--out", run, "--json")
    assert answer.code == 0, answer.err
    val = answer.json["results"]["val"]
    assert val["top5_error"] is None
    assert val["best_val"]["top5_error"] is None
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["top5_error"] for row in rows if row["event"] == "val"] == [None, None]
    (row,) = rescli("eval", run, "--json").json["results"]
    assert row["top5_error"] is None
    table = rescli("eval", run).out
    head, line = (text for text in table.splitlines() if "top-5" in text or text.endswith(".safetensors"))
    assert line[head.index("top-5 error") :].split()[0] == "-"
    # A log and a record of an earlier version, which had 0 there, are read and go on as they should.
    for file in (run / "metrics.jsonl", run / "record.json"):
        file.write_text(file.read_text().replace('"top5_error": null', '"top5_error": 0.0'))
    assert rescli("show", run, "--json").code == 0


def test_an_export_forgets_the_top5_error_that_an_earlier_version_wrote(
    rescli: Rescli, pairs: Path, small_flags: Flags, tmp_path: Path
) -> None:
    from rescli.checkpoints.checkpoint import Checkpoint
    from rescli.runs.evaluating.known_results import known_results

    run = tmp_path / "run"
    assert rescli("train", *small_flags(pairs), "--out", run).code == 0
    last = run / "checkpoints" / "last.safetensors"
    checkpoint = Checkpoint.read(last)
    checkpoint.results["val"]["top5_error"] = 0.0
    assert [row["top5_error"] for row in known_results(last, checkpoint, None)] == [None]


def last_command(out: str) -> list[str]:
    """What the last line of a training says to type."""
    return shlex.split(out.splitlines()[-1].partition("rescli ")[2])


@pytest.mark.parametrize(
    ("layout", "line", "split"),
    [
        (("train", "val"), "val error:     rescli eval ", "val"),
        (("train", "val", "test"), "test error:    rescli eval ", "test"),
        (("train",), "val error:     rescli eval ", "val"),
    ],
)
def test_the_last_line_says_which_images_it_evaluates_and_works_as_typed(
    rescli: Rescli,
    write_noise: Callable[..., None],
    small_flags: Flags,
    tmp_path: Path,
    layout: tuple[str, ...],
    line: str,
    split: str,
) -> None:
    root = tmp_path / "my set"
    for part in layout:
        for seed, name in enumerate(("a", "b")):
            write_noise(root / part / name, 6, seed)
    answer = rescli("train", *small_flags(root), "--out", tmp_path / "my run")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[-1].startswith(line)
    (row,) = rescli(*last_command(answer.out), "--json").json["results"]
    assert row["split"] == split


def test_fewer_than_ten_images_have_no_validation_part_which_is_said_before_and_after(
    rescli: Rescli, write_noise: Callable[..., None], small_flags: Flags, tmp_path: Path
) -> None:
    root, run = tmp_path / "few", tmp_path / "run"
    write_noise(root / "a", 1)
    write_noise(root / "b", 4)
    answer = rescli("train", *small_flags(root, batch_size=2), "--out", run)
    assert answer.code == 0, answer.err
    begun = answer.err.partition("iteration")[0]
    assert "note: no validation part: a tenth of 5 images is none." in begun
    assert "\n  try: --set data.dataset.val_size=1\n" in begun
    assert "no validation part: no error of images that were not trained on" in answer.out
    assert not (run / "checkpoints" / "best.safetensors").exists()
    assert answer.out.splitlines()[-1].startswith("train error:   rescli eval ")
    (row,) = rescli(*last_command(answer.out), "--json").json["results"]
    assert (row["split"], row["num_images"]) == ("train", 5)  # a class of one image, a last batch of one
    answer = rescli("eval", run)
    assert (answer.code, answer.out) == (4, "")
    assert "--split train" in answer.err
    answer = rescli(
        "train", *small_flags(root, batch_size=2), "--set", "data.dataset.val_size=1", "--dry-run"
    )
    assert "no validation part" not in answer.out
    assert "the validation part has 1 image: one image is 100 % of its error" in answer.out


def test_a_plan_for_a_larger_set_is_said_and_what_is_offered_is_ordinary(rescli: Rescli, pairs: Path) -> None:
    where = ("--data-root", pairs, "--dry-run")
    (batch, val, epochs) = rescli("train", "imagefolder/base", *where, "--json").json["oddities"]
    assert batch["text"].startswith("a batch of 64 is larger than the training part of 8")
    assert "an iteration is 8.0 epochs" in batch["text"]
    assert val["text"] == "the validation part has 4 images: one image is 25 % of its error"
    assert "20,000 iterations of 64 images are 160,000 epochs of the 8 training images" in epochs["text"]
    assert epochs["settings"]["iterations"] == 500
    text = rescli("train", "imagefolder/base", *where).out
    (flags,) = [line.partition("try: ")[2] for line in text.splitlines() if "--iterations" in line]
    answer = rescli("train", "imagefolder/base", *where, *shlex.split(flags), "--json")
    assert answer.code == 0, answer.err
    assert answer.json["plan"]["iterations"] == 500
    assert not any("epochs of the" in odd["text"] for odd in answer.json.get("oddities", ()))
    assert answer.json["plan"]["evaluations"] == 100  # as many as in the long course
    assert "epochs of the" not in rescli("train", "imagefolder/base", *where, "--budget", "1m").out


@pytest.mark.parametrize(
    "preset", ["cifar10/resnet-20", "he2015/resnet-110", "quickstart", "imagenet/resnet-18"]
)
def test_nothing_is_odd_in_the_plans_of_the_presets(rescli: Rescli, preset: str) -> None:
    assert rescli("train", preset, "--dry-run", "--json").json.get("oddities") is None


def test_a_batch_of_one_trains_and_what_that_means_is_said(
    rescli: Rescli, pairs: Path, small_flags: Flags, tmp_path: Path
) -> None:
    answer = rescli("train", *small_flags(pairs, batch_size=1), "--out", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert "takes its mean and variance from one image at a time" in answer.err
    assert "try: --batch-size 16" in answer.err


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_batch_larger_than_the_set_and_more_workers_than_images_train(
    rescli: Rescli, pairs: Path, small_flags: Flags, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    answer = rescli("train", *small_flags(pairs, batch_size=20, workers=9), "--out", run, "--json")
    assert answer.code == 0, answer.err
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows if row["event"] == "train"] == [2.5, 5.0]


def test_a_batch_of_one_on_maps_of_one_value_is_refused_before_the_first_iteration(
    rescli: Rescli, tmp_path: Path
) -> None:
    net = ("--set", "model.family=imagenet", "--depth", 18, "--set", "model.width=4", "--iterations", 1)
    run = ("train", "quickstart", *net, "--device", "cpu", "--precision", "fp32", "--out", tmp_path / "run")
    answer = rescli(*run, "--batch-size", 1)
    assert (answer.code, answer.out) == (2, "")
    assert "batches of one image cannot be normalised" in answer.err
    assert "--batch-size 2" in answer.err
    assert not (tmp_path / "run").exists()
    assert rescli(*run, "--batch-size", 2).code == 0


def test_the_size_of_the_batches_changes_no_count(rescli: Rescli, discerning8: Path) -> None:
    rows = [
        rescli(
            *("eval", discerning8, "--split", "val", "--no-cache", "--device", "cpu"), *size, "--json"
        ).json["results"][0]
        for size in (
            ("--batch-size", 1),
            ("--batch-size", 7),
            ("--batch-size", 59),
            (),
        )  # 59: a last batch of one
    ]
    assert len({(row["top1_error"], row["top5_error"], row["num_images"]) for row in rows}) == 1
    assert all(row["loss"] == pytest.approx(rows[-1]["loss"], rel=1e-6) for row in rows)


def test_a_comparison_on_a_folder_without_test_images_is_refused_before_any_training(
    rescli: Rescli, pairs: Path, small_flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ("--iterations", 1, "--batch-size", 4, "--device", "cpu", "--data-root", pairs)
    answer = rescli("compare", "resnet-18", "plain-18", "--dataset", "imagefolder", *few)
    assert (answer.code, answer.out) == (3, "")
    assert "has no test images: it has train, val" in answer.err
    assert not list((tmp_path / "runs").glob("*/spec.toml"))
    for name in ("a", "b"):
        assert rescli("train", *small_flags(pairs), "--seed", ord(name), "--out", name).code == 0
    answer = rescli("compare", "a", "b", "--device", "cpu")
    assert answer.code == 3
    assert "has no test images" in answer.err
    assert "--split" not in answer.err


def test_three_classes_one_of_them_of_one_image_and_a_val_part_of_one(
    rescli: Rescli, write_noise: Callable[..., None], small_flags: Flags, tmp_path: Path
) -> None:
    """A batch larger than the set, ten crops of fewer images than a batch, an error of 0 or of 100 %."""
    root, run = tmp_path / "set", tmp_path / "run"
    for seed, (name, count) in enumerate((("猫", 5), ("only", 1), ("собака", 4))):
        write_noise(root / "train" / name, count, seed)
    write_noise(root / "val" / "猫", 1, 9)
    answer = rescli("train", *small_flags(root, batch_size=20, iterations=1), "--out", run)
    assert answer.code == 0, answer.err
    assert "  val    1 image of 1 class" in answer.err
    assert "the validation part has 1 image: one image is 100 % of its error" in answer.err
    assert "after 1 iteration" in answer.out
    assert "1 iterations" not in answer.out + answer.err
    typed = ("eval", run, "--split", "val", "--protocol", "ten-crop", "--batch-size", 64, "--device", "cpu")
    (row,) = rescli(*typed, "--json").json["results"]
    assert (row["num_images"], row["top5_error"]) == (1, None)
    assert row["top1_error"] in (0.0, 100.0)
    low, high = row["interval95"]
    assert 0 <= low < high <= 100
    assert rescli(*typed).out.startswith("imagefolder val, 1 image\n")
    (found,) = rescli("predict", run, root / "val" / "猫", "--device", "cpu", "--json").json["predictions"]
    assert len(found["top"]) == 3
    assert "1 image, center224, last" in rescli("show", run).out
