"""How far a table or figure of the paper is: a row a run, with its state, rate and rest. No torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rescli.durations import format_seconds
from rescli.foreign_text import html_text
from rescli.plurals import counted
from rescli.report.table import Column, Table, short
from rescli.runs.stored_record import ImportedRecord
from rescli.studies.evidence.outcome import IncomingRun, require_taken
from rescli.studies.evidence.progress import RunProgress
from rescli.studies.not_run import NotRun
from rescli.studies.paper_items import PaperItem

__all__ = ["STATUS_COLUMNS", "ReproductionStatus"]

_STATES = ("finished", "running", "stopped", "missing", "damaged")


@dataclass(frozen=True, repr=False)
class ReproductionStatus:
    """How far each run of a table or figure is. Shows itself as a table.

    Args:
        item: the table or figure.
        runs: where its run directories lie.
        rows: one a run, net by net in the paper's order.
        not_run: label of a net and why no run of it is wanted.
        imported: what became of the runs of other machines that were to be taken in.
    """

    item: PaperItem
    runs: Path
    rows: tuple[RunProgress, ...]
    not_run: Mapping[str, NotRun]
    imported: tuple[IncomingRun, ...] = ()

    def require_all_taken(self) -> None:
        """Nothing where every run of another machine that is needed was taken in.

        Raises:
            VerificationError: one was refused; names it and why.
        """
        require_taken(self.imported)

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are finished, running, stopped, missing and damaged."""
        found = Counter(row.state for row in self.rows)
        return {state: found[state] for state in _STATES}  # type: ignore[index]

    @property
    def summary(self) -> str:
        """The counts as a sentence: ``6 runs: 1 finished, 1 running, 4 missing``."""
        said = ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)
        return f"{counted(len(self.rows), 'run')}{f': {said}' if said else ''}"

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with runs, one sentence each."""
        return tuple(f"{row.net}, seed {row.seed}: {row.problem}" for row in self.rows if row.problem)

    def table(self) -> Table:
        """A line a run: state, iteration, rate, what is left, and test error beside the published one."""
        return Table.of(STATUS_COLUMNS, self.rows)

    def to_frame(self) -> Any:
        """``table`` as a pandas frame.

        Raises:
            UsageError: pandas is not installed.
        """
        return self.table().to_frame()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        imported = {"imported": [one.to_dict() for one in self.imported]} if self.imported else {}
        return {
            "target": self.item.name,
            "title": self.item.title,
            "source": self.item.source,
            "runs": str(self.runs),
            "counts": self.counts,
            "rows": [row.to_dict() for row in self.rows],
            "not_run": {label: str(reason) for label, reason in self.not_run.items()},
            **imported,
        }

    def to_json(self) -> str:
        """``to_dict`` as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def __repr__(self) -> str:
        title = f"ReproductionStatus of {self.item.title} ({self.item.source}): {self.summary}"
        return short(title, str(self.table()).splitlines() if self.rows else [])

    def _repr_html_(self) -> str:
        title = html_text(f"{self.item.title} ({self.item.source}): {self.summary}")
        problems = "".join(f"<p>{html_text(text)}</p>" for text in self.problems)
        return f"<p>{title}</p>{self.table()._repr_html_()}{problems}"


def _optional(value: float | None, text: str) -> str:
    return "" if value is None else text.format(value)


def _imported(origin: ImportedRecord | None) -> str:
    return "" if origin is None else f"{origin['date'][:10]} from {origin['folder']}"


STATUS_COLUMNS = (
    Column[RunProgress]("net", lambda row: row.net),
    Column[RunProgress]("seed", lambda row: str(row.seed), lambda row: row.seed),
    Column[RunProgress]("state", lambda row: row.state),
    Column[RunProgress](
        "iteration", lambda row: f"{row.iteration:,} of {row.iterations:,}", lambda row: row.iteration
    ),
    Column[RunProgress]("%", lambda row: f"{row.percent:.1f}", lambda row: row.percent),
    Column[RunProgress](
        "images/s",
        lambda row: _optional(row.images_per_second, "{:,.1f}"),
        lambda row: row.images_per_second,
    ),
    Column[RunProgress](
        "left",
        lambda row: "" if row.rest_seconds is None else f"about {format_seconds(row.rest_seconds)}",
        lambda row: row.rest_seconds,
    ),
    Column[RunProgress]("resumed", lambda row: _optional(row.resumes, "{}"), lambda row: row.resumes),
    Column[RunProgress](
        "test error", lambda row: _optional(row.test_error, "{:.2f}"), lambda row: row.test_error
    ),
    Column[RunProgress](
        "published", lambda row: _optional(row.published, "{:.2f}"), lambda row: row.published
    ),
    Column[RunProgress]("precision", lambda row: row.precision or ""),
    Column[RunProgress]("device", lambda row: row.device or ""),
    Column[RunProgress]("imported", lambda row: _imported(row.imported)),
)
"""Add a column here, and the screen and notebooks have it."""
