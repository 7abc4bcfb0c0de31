"""metrics.jsonl: one JSON object a line, appended; cut back on resume to what the saved state saw."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rescli.errors import CheckpointError
from rescli.training.events import EvalDone, Event, MetricsReady

__all__ = ["MetricsLog", "read_metrics"]


class MetricsLog:
    """A sink. Rows have ``event`` (train or val), ``iteration`` and ``epoch``; errors in percent.

    ``images_per_second``, ``train_seconds`` and, of photographs, ``waited_seconds`` are wall-clock; all else
    is a function of the spec.
    """

    def __init__(self, path: Path, *, keep_bytes: int = 0, keep_sha256: str | None = None) -> None:
        """Keep the first ``keep_bytes``: what follows belongs to iterations that were lost.

        Raises:
            CheckpointError: the log is shorter than that, was changed, or is not writable.
        """
        self._path = path
        try:
            kept = path.read_bytes()[:keep_bytes] if keep_bytes else b""
            if len(kept) < keep_bytes:
                raise CheckpointError(f"{path} is damaged: {len(kept)} bytes are left of {keep_bytes}.")
            if keep_sha256 is not None and hashlib.sha256(kept).hexdigest() != keep_sha256:
                raise CheckpointError(f"{path} is damaged: its rows are not those that were written.")
            self._file = open(path, "ab")  # noqa: SIM115
            os.truncate(path, keep_bytes)
        except OSError as error:
            raise CheckpointError(f"cannot write {path}: {error.strerror}") from error

    def __call__(self, event: Event) -> None:
        if isinstance(event, MetricsReady):
            row = asdict(event)
            if event.waited_seconds is None:
                del row["waited_seconds"]
            self._append("train", row)
        elif isinstance(event, EvalDone):
            self._append(
                "val", {"step": event.step, "epoch": event.epoch, **asdict(event.result), "best": event.best}
            )

    def sync(self) -> tuple[int, str]:
        """Bring everything to the disk; the length in bytes and the sha256."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._cannot_write(error) from error
        data = self._path.read_bytes()
        return len(data), hashlib.sha256(data).hexdigest()

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise self._cannot_write(error) from error

    def _append(self, event: str, row: dict[str, Any]) -> None:
        row = {"event": event, "iteration": row.pop("step"), **row}
        try:
            self._file.write((json.dumps(row, allow_nan=False) + "\n").encode())
            self._file.flush()  # a person may be following the file
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> CheckpointError:
        return CheckpointError(
            f"cannot write {self._path}: {error.strerror}; what was saved before is untouched.",
            hint="make room on the disk, then resume the run",
        )


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows; a last line that a kill cut off is left out.

    Raises:
        CheckpointError: missing or damaged.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
