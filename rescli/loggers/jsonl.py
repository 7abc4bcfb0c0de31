"""metrics.jsonl: one JSON object a line, appended; cut back on resume to what the saved state saw."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from typing import cast

from rescli.errors import CheckpointError, RescliError
from rescli.files import cannot_write, read_file, without_waiting
from rescli.plurals import are, counted
from rescli.runs.directory import RunDir
from rescli.runs.logger import LoggedRun
from rescli.runs.metrics_log import MetricsRow
from rescli.training.events import EvalDone, Event, MetricsReady

__all__ = ["JsonlLogger"]


class JsonlLogger:
    """The log that every run has. Rows have ``event`` (train or val), ``iteration`` and ``epoch``.

    Errors are in percent. ``images_per_second``, ``train_seconds`` and, of photographs, ``waited_seconds``
    are wall-clock; all else is a function of the spec.
    """

    def __init__(self, run: LoggedRun) -> None:
        """Keep the first ``run.metrics_bytes``: what follows belongs to iterations that were lost.

        Raises:
            CheckpointError: the log is shorter than that, was changed, or is not writable.
        """
        self._path = path = RunDir(run.path).metrics
        keep = run.metrics_bytes
        try:
            kept = read_file(path)[:keep] if keep else b""
            if len(kept) < keep:
                raise CheckpointError(
                    f"{path} is damaged: {counted(len(kept), 'byte')} {are(len(kept))} left of {keep}.",
                    page="resume-refused",
                )
            if run.metrics_sha256 is not None and hashlib.sha256(kept).hexdigest() != run.metrics_sha256:
                raise CheckpointError(
                    f"{path} is damaged: its rows are not those that were written.", page="resume-refused"
                )
            self._file = open(path, "ab", opener=without_waiting)  # noqa: SIM115
            os.truncate(path, keep)
        except OSError as error:
            raise self._cannot_write(error) from error

    def __call__(self, event: Event, /) -> None:
        """Append a row for a window of training or an evaluation."""
        if isinstance(event, MetricsReady):
            row = asdict(event)
            step = row.pop("step")
            if event.waited_seconds is None:
                del row["waited_seconds"]
            self._append(cast(MetricsRow, {"event": "train", "iteration": step, **row}))
        elif isinstance(event, EvalDone):
            row = {"iteration": event.step, "epoch": event.epoch, **asdict(event.result), "best": event.best}
            self._append(cast(MetricsRow, {"event": "val", **row}))

    def sync(self) -> tuple[int, str]:
        """Bring everything to the disk.

        Returns:
            The length in bytes, and the sha256.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            data = read_file(self._path)
        except OSError as error:
            raise self._cannot_write(error) from error
        return len(data), hashlib.sha256(data).hexdigest()

    def close(self) -> None:
        """Write what is left and let go of the file."""
        try:
            self._file.close()
        except OSError as error:
            raise self._cannot_write(error) from error

    def _append(self, row: MetricsRow) -> None:
        try:
            self._file.write((json.dumps(row, allow_nan=False) + "\n").encode())
            self._file.flush()  # a person may be following the file
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> RescliError:
        return cannot_write(self._path, error, error=CheckpointError)
