"""Reading metrics.jsonl, which ``rescli.loggers.jsonl`` writes: one JSON object a line."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol, Required

from pydantic import with_config
from typing_extensions import TypedDict

from rescli.errors import CheckpointError
from rescli.files import open_file, read_file
from rescli.runs.logger import Logger
from rescli.stored.json_values import as_stored, parse_json, rows_as_stored
from rescli.stored.values import EXACT, Count, Loss, Percent, Seconds

__all__ = ["MetricsLog", "MetricsRow", "last_window", "metrics_rows", "read_metrics"]

_TAIL_BYTES = 65_536
"""Hundreds of rows: the last window of training is among them, however many evaluations follow it."""

_AGAIN = "copy it again from where the run was trained"


@with_config(EXACT)
class MetricsRow(TypedDict, total=False):
    """A window of training (``event`` is train) or an evaluation (val); errors in percent.

    ``lr``, ``images_per_second``, ``train_seconds`` and, of photographs, ``waited_seconds`` stand in rows of
    training; ``top5_error`` (null of five classes or fewer) and ``best`` in those of evaluations.
    """

    event: Required[Literal["train", "val"]]
    iteration: Required[Count]
    epoch: Seconds
    lr: float
    loss: Required[Loss]
    top1_error: Required[Percent]
    top5_error: Percent | None
    num_images: Count
    images_per_second: Seconds
    train_seconds: Seconds
    waited_seconds: Seconds
    best: bool


@with_config(EXACT)
class _Evaluation(TypedDict):
    """What an evaluation's row has more than one of training."""

    top5_error: Percent | None
    num_images: Count
    best: bool


class MetricsLog(Logger, Protocol):
    """The logger of metrics.jsonl, whose length a saved state remembers."""

    def sync(self) -> tuple[int, str]:
        """Bring everything to the disk; its length in bytes, and the sha256."""


def read_metrics(path: Path) -> list[MetricsRow]:
    """The rows of a log; a last line that a kill cut off is left out.

    Raises:
        CheckpointError: missing or damaged.
    """
    try:
        content = read_file(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}", hint=_AGAIN) from error
    return metrics_rows(content, path)


def metrics_rows(content: bytes, path: Path) -> list[MetricsRow]:
    """As ``read_metrics``, of what was read already.

    Args:
        content: of the log.
        path: of its file, for errors.

    Raises:
        CheckpointError: damaged.
    """
    lines = content.split(b"\n")[:-1]

    def refused(place: int, wrong: object) -> CheckpointError:
        return CheckpointError(f"{path} cannot be read: line {place + 1}: {wrong}", hint=_AGAIN)

    found: list[Any] = []
    for line in lines:
        try:
            found.append(parse_json(line))
        except ValueError as error:
            raise refused(len(found), error) from error
    rows = rows_as_stored(found, MetricsRow, refused)
    places = [place for place, row in enumerate(rows) if row["event"] == "val"]
    keys = _Evaluation.__annotations__.keys()
    evaluations = [{key: found[place][key] for key in keys & found[place].keys()} for place in places]
    rows_as_stored(evaluations, _Evaluation, lambda place, wrong: refused(places[place], wrong))
    return rows


def last_window(path: Path) -> MetricsRow | None:
    """The newest window of training in a log that may be being written; None where there is none to read."""
    try:
        with open_file(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read(_TAIL_BYTES).split(b"\n")[:-1]
    except OSError:
        return None
    for line in reversed(lines):
        with suppress(ValueError):
            row = as_stored(parse_json(line), MetricsRow, ValueError)
            if row["event"] == "train":
                return row
    return None
