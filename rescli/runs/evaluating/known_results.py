"""Errors that are already known of a checkpoint: from its training, from its run's test, or from a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import with_config
from typing_extensions import TypedDict

from rescli.checkpoints.metadata import KnownFigures
from rescli.errors import CheckpointError, UsageError
from rescli.evaluation.classes import has_top5
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.runs.stored_record import SplitResult, read_record
from rescli.stored.json_values import read_stored
from rescli.stored.values import EXACT

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


@with_config(EXACT)
class _Evaluated(KnownFigures):
    split: str
    sha256: str | list[str]


@with_config(EXACT)
class _Evaluations(TypedDict):
    """What an evaluation leaves as JSON."""

    results: list[_Evaluated]


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


def test_result_of(path: Path, selection: str | None, iteration: int | None) -> SplitResult | None:
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
        test = read_record(run_dir)["results"].get("test") or SplitResult()
    except CheckpointError as error:
        _log.warning("%s It is described without a test error that may be in it", error)
        return None
    rows = [test, test.get("best_val") or SplitResult()]
    return next(
        (row for row in rows if (row.get("selection"), row.get("iteration")) == (selection, iteration)), None
    )


def _of_file(given: Path, checkpoint: Checkpoint) -> list[KnownResult]:
    try:
        content = read_stored(given, _Evaluations, error=UsageError, remedy=_HOW)
    except UsageError as error:
        raise UsageError(
            f"the results in {given} are not what an evaluation leaves: {error}", remedy=_HOW
        ) from error
    mine = [row for row in content["results"] if row["sha256"] == checkpoint.sha256]
    found = [_row(row["split"], row) for row in mine]
    if not found:
        raise UsageError(
            f"{given} holds nothing of this checkpoint (sha256 {checkpoint.sha256[:16]}).",
            remedy=_HOW,
        )
    return found


def _row(split: str, row: Mapping[str, object]) -> KnownResult:
    keys = KnownResult.__annotations__
    return cast(KnownResult, {**{key: row.get(key) for key in keys}, "split": split})
