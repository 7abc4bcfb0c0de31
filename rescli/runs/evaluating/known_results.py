"""Errors that are already known of a checkpoint: from its training, from its run's test, or from a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from rescli.errors import CheckpointError, UsageError
from rescli.evaluation.classes import has_top5
from rescli.files import read_json
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir

if TYPE_CHECKING:
    from rescli.checkpoints.checkpoint import Checkpoint

__all__ = ["KnownResult", "known_results", "test_result_of"]

_log = logging.getLogger(__name__)

_HOW = Remedy("results", "eval.json", "with the same file")
"""How a file of results comes about."""


class KnownResult(TypedDict):
    """A validation or test error in percent, with the protocol that it was measured by."""

    split: str
    protocol: str | None
    top1_error: float | None
    top5_error: float | None
    loss: float | None
    interval95: list[float] | None
    num_images: int | None
    selection: str | None
    precision: str | None


def known_results(path: Path, checkpoint: Checkpoint, given: Path | None) -> list[KnownResult]:
    """Validation and test errors of a checkpoint; errors on training images are not among them.

    Args:
        path: the checkpoint's; where it lies in a run directory, the run's test result counts.
        checkpoint: what was read from it.
        given: a file with the JSON of an evaluation of this checkpoint, which counts before the others.

    Raises:
        UsageError: ``given`` is about another checkpoint, or no such file.
    """
    rows: list[KnownResult] = []
    if "val" in checkpoint.results:
        rows.append(_row("val", {"precision": checkpoint.precision, **checkpoint.results["val"]}))
    if test := test_result_of(path, checkpoint.selection, checkpoint.iteration):
        rows.append(_row("test", test))
    if given is not None:
        rows += _of_file(given, checkpoint)
    if not has_top5(len(checkpoint.class_names)):  # results of an earlier version have 0 there
        for row in rows:
            row["top5_error"] = None
    latest = {(row["split"], row["protocol"]): row for row in rows}
    return list(latest.values())


def test_result_of(path: Path, selection: str | None, iteration: int | None) -> Mapping[str, Any] | None:
    """The test result that the run of a checkpoint has in its record; None where it was not tested.

    Args:
        path: the checkpoint's; one that lies in no run directory has none.
        selection: which of the run's weights it holds: ``last`` or ``best-val``.
        iteration: of the weights.
    """
    run_dir = RunDir.of_checkpoint(path)
    if run_dir is None:
        return None
    try:
        test = read_json(run_dir.record)["results"].get("test") or {}
        rows = [test, test.get("best_val") or {}]
        return next(
            (row for row in rows if (row.get("selection"), row.get("iteration")) == (selection, iteration)),
            None,
        )
    except (CheckpointError, KeyError, TypeError, AttributeError) as error:
        _log.warning("%s: described without a test error that may be in it (%s)", run_dir.record, error)
        return None


def _of_file(given: Path, checkpoint: Checkpoint) -> list[KnownResult]:
    try:
        content = read_json(given)
        rows = [row for row in content["results"] if row.get("sha256") == checkpoint.sha256]
        found = [_row(row["split"], row) for row in rows]
    except (CheckpointError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"the results in {given} are not what an evaluation leaves: {error}", remedy=_HOW
        ) from error
    if not found:
        raise UsageError(
            f"{given} holds nothing of this checkpoint (sha256 {checkpoint.sha256[:16]}).",
            remedy=_HOW,
        )
    return found


def _row(split: str, row: Mapping[str, Any]) -> KnownResult:
    return {
        "split": split,
        "protocol": row.get("protocol"),
        "top1_error": row.get("top1_error"),
        "top5_error": row.get("top5_error"),
        "loss": row.get("loss"),
        "interval95": row.get("interval95"),
        "num_images": row.get("num_images"),
        "selection": row.get("selection"),
        "precision": row.get("precision"),
    }
