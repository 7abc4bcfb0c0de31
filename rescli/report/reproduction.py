"""A table or figure of the paper beside our numbers: published | measured mean ± std (n) | verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rescli import __version__
from rescli.files import write_atomically
from rescli.foreign_text import html_text, markdown_text
from rescli.plurals import counted
from rescli.report.comparison.figures import curves_figure
from rescli.report.figures import as_bytes, responses_figure
from rescli.report.table import Column, Table, short
from rescli.studies.evidence.outcome import IncomingRun, require_taken
from rescli.studies.not_run import NotRun
from rescli.studies.paper_items import PaperItem
from rescli.studies.queued_run import PlannedRun
from rescli.studies.reproduction import NetCurves
from rescli.studies.responses import ResponsesRow
from rescli.studies.rows import ReproductionRow
from rescli.studies.statistics.seeds import mean_std_text

__all__ = ["REPRODUCTION_COLUMNS", "Reproduction"]


@dataclass(frozen=True, repr=False)
class Reproduction:
    """What was measured of a table or figure of the paper. Errors are in percent.

    Args:
        item: the table or figure.
        plan: the runs it needs, in the order of training.
        not_run: label of a net and why nobody trained it here.
        rows: a row a net, in the paper's order; empty for a plan alone.
        protocol: how ours were tested.
        origin: versions, platform and commit of what computed it.
        nets: the curves of what is finished.
        responses: layer responses, for Figure 7.
        out: the folder in which it was written; None where it was not.
        imported: what became of the runs of other machines that were to be taken in.
    """

    item: PaperItem
    plan: tuple[PlannedRun, ...]
    not_run: Mapping[str, NotRun]
    rows: tuple[ReproductionRow, ...] = ()
    protocol: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    nets: tuple[NetCurves, ...] = ()
    responses: tuple[ResponsesRow, ...] | None = None
    out: Path | None = None
    imported: tuple[IncomingRun, ...] = ()

    def require_all_taken(self) -> None:
        """Nothing where every run of another machine that is needed was taken in.

        Raises:
            VerificationError: one was refused; names it and why.
        """
        require_taken(self.imported)

    def table(self) -> Table:
        """Published beside measured, as the screen shows it; top-5 errors behind a stroke."""
        return Table.of(REPRODUCTION_COLUMNS, self.rows)

    def to_frame(self) -> Any:
        """``table`` as a pandas frame.

        Raises:
            UsageError: pandas is not installed.
        """
        return self.table().to_frame()

    def figure(self) -> Figure | None:
        """What is finished as a matplotlib figure: curves, or layer responses for Figure 7.

        None where nothing is finished, and for a table.
        """
        if self.item.kind == "curves":
            return curves_figure(self.nets) if self.nets else None
        stds = [(row["model"], [layer["std"] for layer in row["layers"]]) for row in self.responses or ()]
        return responses_figure(stds) if stds else None

    def save(self, folder: str | Path) -> Path:
        """Write ITEM.json and .md, and for a figure ITEM.png and .svg where a run is finished.

        Raises:
            RescliError: the folder cannot be written.
        """
        folder, name = Path(folder), self.item.name
        if (figure := self.figure()) is not None:
            for suffix in ("png", "svg"):
                write_atomically(folder / f"{name}.{suffix}", as_bytes(figure, suffix))
        write_atomically(folder / f"{name}.md", self.as_markdown().encode())
        write_atomically(folder / f"{name}.json", (self.to_json() + "\n").encode())
        return folder

    def as_markdown(self) -> str:
        """The table with its title, source and protocol; of a plan alone, how many runs it needs."""
        head = f"# {self.item.title}\n\n{self.item.source}, reproduced with rescli {self._version}. "
        if not self.rows:
            return f"{head}A plan of {counted(len(self.plan), 'run')}; nothing is measured yet.\n"
        table = self.table()
        cells = [list(table.heads), *([cell.text for cell in row] for row in table.rows)]
        lines = ["| " + " | ".join(markdown_text(text) for text in row) + " |" for row in cells]
        lines.insert(1, "|---|---:|---:|---|")
        head += f"Top-1 error in percent, protocol {self.protocol}; "
        return f"{head}mean ± std (n seeds).\n\n" + "\n".join(lines) + "\n"

    @property
    def _version(self) -> str:
        return str(self.origin.get("rescli_version", __version__))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        item = self.item
        head = {
            "target": item.name,
            "title": item.title,
            "source": item.source,
            "protocol": self.protocol,
        }
        responses = {"responses": list(self.responses)} if self.responses is not None else {}
        imported = {"imported": [one.to_dict() for one in self.imported]} if self.imported else {}
        return {**head, **self.origin, "rows": list(self.rows), **responses, **imported}

    def to_json(self) -> str:
        """What ITEM.json holds."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def __repr__(self) -> str:
        title = f"{self.item.title} ({self.item.source})"
        return short(f"Reproduction of {title}", str(self.table()).splitlines() if self.rows else [])

    def _repr_html_(self) -> str:
        title = html_text(f"{self.item.title} ({self.item.source})")
        if not self.rows:
            return f"<p>{title}: planned, {counted(len(self.plan), 'run')}; nothing is measured yet</p>"
        return f"<p>{title}</p>{self.table()._repr_html_()}"


def _published(row: ReproductionRow) -> str:
    top1, top5 = (
        f"{value:.2f}" if value is not None else "-"
        for value in (row["published_top1"], row["published_top5"])
    )
    return top1.replace("-", "") if row["published_top5"] is None else f"{top1} / {top5}"


def _measured(row: ReproductionRow) -> str:
    if row["measured"] is None:
        return "not run" if row["not_run"] else ""
    top5 = row.get("measured_top5") if row["published_top5"] is not None else None
    return " / ".join(
        mean_std_text(figure, always_count=True) for figure in (row["measured"], top5) if figure is not None
    )


def _verdict(row: ReproductionRow) -> str:
    if row["measured"] is None:
        return row["not_run"] or ""
    done, wanted = row["measured"]["n"], row.get("seeds_wanted", 0)
    few = f"{done} of {wanted} seeds are finished" if done < wanted else ""
    return "; ".join(text for text in (row["verdict"], few) if text)


REPRODUCTION_COLUMNS = (
    Column[ReproductionRow]("net", lambda row: row["label"]),
    Column[ReproductionRow]("published", _published, lambda row: row["published_top1"]),
    Column[ReproductionRow](
        "measured", _measured, lambda row: row["measured"]["mean"] if row["measured"] else None
    ),
    Column[ReproductionRow]("verdict", _verdict),
)
"""Add a column here, and the screen, the Markdown file and notebooks have it."""
