"""Class names and files of any script, with any signs in them: trained, evaluated, predicted, drawn."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rescli.evaluation.table import cell_width

Rescli = Callable[..., Any]

NAMES = ("[red]x", "$a_{x}$ 50%", "<b>&", "two\nlines", "كلب", "हिन्दी", "猫", "犬 🐶", "x" * 60)


def test_from_the_folder_to_the_pictures_and_the_csv(
    rescli: Rescli,
    write_noise: Callable[..., None],
    small_flags: Callable[..., list[object]],
    tmp_path: Path,
) -> None:
    root, run = tmp_path / "set", tmp_path / "run"
    for seed, name in enumerate(NAMES):
        write_noise(root / "train" / name, 2, seed)
        write_noise(root / "val" / name, 1, seed + 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = rescli("train", *small_flags(root), "--out", run)
        assert answer.code == 0, answer.err
        drawn = ("--figure", tmp_path / "matrix.png", "--mistakes", tmp_path / "mistakes.png")
        answer = rescli("eval", run, "--per-class", *drawn)
    assert answer.code == 0, answer.err
    assert (tmp_path / "matrix.png").stat().st_size > 10_000
    if "no installed font" in answer.err:
        numbers = [line.split() for line in answer.err.splitlines() if line.startswith("  #")]
        assert ["#" + str(sorted(NAMES).index("猫")), "猫"] in numbers
    table = answer.out.partition("by class")[2].splitlines()[2:]
    assert len(table) == len(NAMES) + 1
    where = table[0].index("images")
    assert {cell_width(line[: line.index("  ")]) <= where for line in table} == {True}
    assert any(line.startswith(r"two\nlines ") for line in table)
    assert any(line.startswith("[red]x ") for line in table)
    for seed, name in enumerate(("猫.png", "$x$ [bold].png", "two\nlines.png")):
        write_noise(tmp_path / "own", 1, seed)
        (tmp_path / "own" / "0.png").rename(tmp_path / "own" / name)
    answer = rescli(
        *(
            "predict",
            run,
            tmp_path / "own",
            "--csv",
            tmp_path / "own.csv",
            "--figure",
            tmp_path / "sheet.png",
        ),
        *("--top", 20),
    )
    assert answer.code == 0, answer.err
    with open(tmp_path / "own.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {Path(row["file"]).name for row in rows} == {"猫.png", "$x$ [bold].png", "two\nlines.png"}
    assert {row["label"] for row in rows} <= set(NAMES)
    assert len(rows[0]) == 1 + 2 * len(NAMES)  # every class and its probability
    probabilities = [float(value) for key, value in rows[0].items() if key.startswith("probability")]
    assert abs(sum(probabilities) - 1) < 1e-4
    answer = rescli("predict", run, tmp_path / "own", "--json")
    assert [Path(row["file"]).name for row in json.loads(answer.out)["predictions"]] == [
        Path(row["file"]).name for row in rows
    ]


def test_a_class_without_images_in_val_has_a_dash_and_counts_may_be_uneven(
    rescli: Rescli,
    write_noise: Callable[..., None],
    small_flags: Callable[..., list[object]],
    tmp_path: Path,
) -> None:
    root, run = tmp_path / "set", tmp_path / "run"
    for name, train, val in (("many", 12, 11), ("one", 1, 1), ("none", 2, 0)):
        write_noise(root / "train" / name, train)
        write_noise(root / "val" / name, val, 5) if val else (root / "val" / name).mkdir()
    assert rescli("train", *small_flags(root), "--out", run).code == 0
    answer = rescli("eval", run, "--per-class", "--figure", tmp_path / "matrix.svg")
    assert answer.code == 0, answer.err
    lines = {line.split()[0]: line.split()[1:3] for line in answer.out.splitlines() if line}
    assert lines["none"] == ["0", "-"]
    assert lines["many"][0] == "11"
    (row,) = rescli("eval", run, "--per-class", "--json").json["results"]
    assert [(one["class"], one["num_images"]) for one in row["per_class"]] == [
        *(("many", 11), ("none", 0), ("one", 1)),
    ]
    assert row["per_class"][1]["top1_error"] is None
