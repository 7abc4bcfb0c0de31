"""Reading metrics.jsonl, which ``rescli.loggers.jsonl`` writes: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Protocol, TypedDict

from rescli.errors import CheckpointError
from rescli.files import read_file
from rescli.runs.logger import Logger

__all__ = ["MetricsLog", "MetricsRow", "read_metrics"]


class MetricsRow(TypedDict, total=False):
    """A window of training (``event`` is train) or an evaluation (val); errors in percent.

    ``lr``, ``images_per_second``, ``train_seconds`` and, of photographs, ``waited_seconds`` stand in rows of
    training; ``top5_error`` (null of five classes or fewer) and ``best`` in those of evaluations.
    """

    event: Literal["train", "val"]
    iteration: int
    epoch: float
    lr: float
    loss: float
    top1_error: float
    top5_error: float | None
    num_images: int
    images_per_second: float
    train_seconds: float
    waited_seconds: float
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
        lines = read_file(path).split(b"\n")[:-1]
        return [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
