"""A run remembers each time that its test set was looked at, and what came out."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import CheckpointError, RunDirError
from rescli.evaluation.result import EvalRow
from rescli.files import without_waiting, write_json
from rescli.runs.directory import RunDir
from rescli.runs.record import now
from rescli.runs.stored_record import SplitResult, read_record

__all__ = ["log_opening", "note_test_result"]

_log = logging.getLogger(__name__)


def log_opening(path: Path, checkpoint: Checkpoint, protocol: str) -> None:
    """Write one line into the run's test_openings.jsonl, before the first test image is looked at.

    Args:
        path: the checkpoint's; outside a run directory nothing is written.
        checkpoint: what was read from it.
        protocol: the name of what the test images are looked at by.
    """
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
        with open(run_dir.test_openings, "a", encoding="utf-8", opener=without_waiting) as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        _log.warning("the opening of the test set is not in the run: %s", error)


def note_test_result(path: Path, row: EvalRow) -> None:
    """Write a single-view test result into record.json: the last weights' on top, the best ones' below it.

    Args:
        path: the checkpoint's; outside a run directory nothing is written.
        row: what was measured.
    """
    run_dir = RunDir.of_checkpoint(path)
    if run_dir is None:
        return
    noted: SplitResult = {
        "iteration": row["iteration"],
        "num_images": row["num_images"],
        "top1_error": row["top1_error"],
        "top5_error": row["top5_error"],
        "loss": row["loss"],
        "interval95": row["interval95"],
        "selection": row["selection"],
        "protocol": row["protocol"],
        "precision": row["precision"],
    }
    try:
        with run_dir.locked():
            record = read_record(run_dir)
            before: SplitResult | None = record["results"].get("test")
            record["results"]["test"] = _both(before, noted)
            write_json(run_dir.record, record, error=CheckpointError)
    except (RunDirError, CheckpointError) as error:
        # The errors are measured and are printed; a run that trains or may not be written goes without.
        _log.warning("the result is not in the run's record: %s", error)


def _both(before: SplitResult | None, noted: SplitResult) -> SplitResult:
    """The new result beside the one that stands already."""
    is_best = noted["selection"] == "best-val"
    below = noted if is_best else before.get("best_val") if before else None
    top = before if is_best and before and before.get("selection") == "last" else noted
    both = top.copy()
    both.pop("best_val", None)
    if below:
        both["best_val"] = below
    return both
