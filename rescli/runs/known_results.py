"""Errors that were measured of a checkpoint: in its training, by ``rescli eval`` in its run, or in a file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import CheckpointError, UsageError
from rescli.files import read_json
from rescli.runs.directory import RunDir
from rescli.runs.record import read_record

__all__ = ["measured_results"]

_log = logging.getLogger(__name__)

_KEYS = ("protocol", "top1_error", "top5_error", "loss", "interval95", "num_images", "selection", "precision")


def measured_results(path: Path, checkpoint: Checkpoint, given: Path | None) -> list[dict[str, Any]]:
    """Rows of validation and test errors in percent, each with its protocol; training's own not among them.

    Args:
        path: of the checkpoint; where it lies in a run directory, the run's test result counts.
        given: what ``rescli eval --json`` printed, of this checkpoint.

    Raises:
        UsageError: ``given`` is of another checkpoint, or no such file.
    """
    rows = []
    if "val" in checkpoint.results:
        rows.append(_row("val", {"precision": checkpoint.precision, **checkpoint.results["val"]}))
    if test := _of_run(path, checkpoint):
        rows.append(_row("test", test))
    if given is not None:
        rows += _of_file(given, checkpoint)
    latest = {(row["split"], row["protocol"]): row for row in rows}
    return list(latest.values())


def _of_run(path: Path, checkpoint: Checkpoint) -> dict[str, Any] | None:
    run_dir = RunDir.of_checkpoint(path)
    if run_dir is None:
        return None
    try:
        test = read_record(run_dir)["results"].get("test") or {}
    except CheckpointError as error:
        _log.warning("%s; described without a test error that may be in it", error)
        return None
    candidates = [test, test.get("best_val") or {}]
    return next(
        (
            row
            for row in candidates
            if (row.get("selection"), row.get("iteration")) == (checkpoint.selection, checkpoint.iteration)
        ),
        None,
    )


def _of_file(given: Path, checkpoint: Checkpoint) -> list[dict[str, Any]]:
    try:
        content = read_json(given)
        rows = [row for row in content["results"] if row.get("sha256") == checkpoint.sha256]
        found = [_row(row["split"], row) for row in rows]
    except (CheckpointError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"--results {given} is not what rescli eval --json prints: {error}",
            hint="rescli eval CKPT --json > eval.json",
        ) from error
    if not found:
        raise UsageError(
            f"--results {given} holds nothing of this checkpoint (sha256 {checkpoint.sha256[:16]}).",
            hint="rescli eval CKPT --json > eval.json, with the same file",
        )
    return found


def _row(split: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"split": split, **{key: row.get(key) for key in _KEYS}}
