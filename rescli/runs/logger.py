"""What a logger is told of the run that it logs; the group ``rescli.loggers`` holds classes of this kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rescli.spec.run import RunSpec
from rescli.training.events import Event

__all__ = ["LoggedRun", "Logger", "MakeLogger"]


@dataclass(frozen=True)
class LoggedRun:
    """A run that begins or goes on.

    Attributes:
        path: its run directory.
        spec: the whole spec.
        start_step: the iterations that were done before; what a logger holds of later ones was lost.
        metrics_bytes: the length of metrics.jsonl when the state was saved.
        metrics_sha256: the hash of those bytes; None where nothing was saved yet.
    """

    path: Path
    spec: RunSpec
    start_step: int = 0
    metrics_bytes: int = 0
    metrics_sha256: str | None = None


class Logger(Protocol):
    """A sink that is opened for one run and closed at its end, however that comes."""

    def __call__(self, event: Event, /) -> None:
        """Take an event; called in the order of the run, between two steps."""

    def close(self) -> None:
        """Finish what was begun."""


class MakeLogger(Protocol):
    """What the group ``rescli.loggers`` holds: a class, or a function."""

    def __call__(self, run: LoggedRun, /) -> Logger:
        """Open the log of a run."""
