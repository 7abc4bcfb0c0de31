"""Folders of few images and few classes: what is not there is said, and what can be done is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Rescli = Callable[..., Any]


def write_photos(folder: Path, count: int, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / f"{number}.png")


def flags(root: Path, **changes: object) -> list[object]:
    settings = {"iterations": 2, "batch-size": 4, "workers": 0} | {
        key.replace("_", "-"): value for key, value in changes.items()
    }
    return [
        *("imagefolder/base", "--data-root", root, "--device", "cpu", "--precision", "fp32"),
        *("--set", "model.width=4", "--set", "evaluation.every=1", "--set", "metrics.every=1"),
        *(word for name, value in settings.items() for word in (f"--{name}", value)),
    ]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two classes of four images in train, and of two in val."""
    for seed, name in enumerate(("cat", "dog")):
        write_photos(tmp_path / "pairs" / "train" / name, 4, seed)
        write_photos(tmp_path / "pairs" / "val" / name, 2, seed + 2)
    return tmp_path / "pairs"


def test_two_classes_have_no_top5_error_anywhere(rescli: Rescli, pairs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    answer = rescli("train", *flags(pairs), "--out", run, "--json")
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
    rescli: Rescli, pairs: Path, tmp_path: Path
) -> None:
    from rescli.checkpoints.checkpoint import Checkpoint
    from rescli.runs.known_results import known_results

    run = tmp_path / "run"
    assert rescli("train", *flags(pairs), "--out", run).code == 0
    last = run / "checkpoints" / "last.safetensors"
    checkpoint = Checkpoint.read(last)
    checkpoint.results["val"]["top5_error"] = 0.0
    assert [row["top5_error"] for row in known_results(last, checkpoint, None)] == [None]
