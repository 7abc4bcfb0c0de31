"""A run remembers each time that its test set was looked at, and what came out."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import CheckpointError, RunDirError
from rescli.files import write_json
from rescli.runs.directory import RunDir
from rescli.runs.record import now, read_record

__all__ = ["log_opening", "note_test_result"]

_log = logging.getLogger(__name__)


def log_opening(path: Path, checkpoint: Checkpoint, protocol: str) -> None:
    """One line in the run's test_openings.jsonl, before the first test image is looked at."""
    run_dir = RunDir.of_checkpoint(path)
    if run_dir is None:
        return
    row = {
        "opened": now(),
        "checkpoint": path.name,
        "sha256": checkpoint.sha256,
        "iteration": checkpoint.iteration,
        "selection": checkpoint.selection,
        "protocol": protocol,
    }
    try:
        with open(run_dir.test_openings, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        _log.warning("the opening of the test set is not in the run: %s", error)


def note_test_result(path: Path, row: dict[str, Any]) -> None:
    """The single-view result into record.json: of the last weights on top, of the best ones below."""
    run_dir = RunDir.of_checkpoint(path)
    if run_dir is None:
        return
    keys = ("iteration", "num_images", "top1_error", "top5_error", "loss", "interval95")
    noted = {key: row[key] for key in (*keys, "selection", "protocol", "precision")}
    try:
        with run_dir.locked():
            record = read_record(run_dir)
            before = record["results"].get("test") or {}
            below = noted if row["selection"] == "best-val" else before.get("best_val")
            top = noted if row["selection"] != "best-val" or before.get("selection") != "last" else before
            top = {key: value for key, value in top.items() if key != "best_val"}
            record["results"]["test"] = {**top, **({"best_val": below} if below else {})}
            write_json(run_dir.record, record, error=CheckpointError)
    except (RunDirError, CheckpointError) as error:
        # The figures are measured and are printed; a run that trains or may not be written goes without.
        _log.warning("the result is not in the run's record: %s", error)
