"""Folders of few images and few classes: what is not there is said, and what can be done is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    from rescli.runs.known_results import known_results

    run = tmp_path / "run"
    assert rescli("train", *small_flags(pairs), "--out", run).code == 0
    last = run / "checkpoints" / "last.safetensors"
    checkpoint = Checkpoint.read(last)
    checkpoint.results["val"]["top5_error"] = 0.0
    assert [row["top5_error"] for row in known_results(last, checkpoint, None)] == [None]
