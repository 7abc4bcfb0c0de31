"""What a comparison came to: shown in a notebook, drawn, and written as compare.json and report.html."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rescli.files import write_atomically
from rescli.foreign_text import html_text
from rescli.plurals import counted
from rescli.report.comparison.columns import contender_columns, tested_on
from rescli.report.comparison.figures import curves_figure
from rescli.report.figures import as_bytes, responses_figure
from rescli.report.page import Origin, comparison_page
from rescli.report.table import Table, short
from rescli.studies.curves import RunCurves
from rescli.studies.reproduction import NetCurves
from rescli.studies.rows import ContenderRow, PairRow
from rescli.studies.summary import summarize

__all__ = ["Comparison"]


@dataclass(frozen=True, repr=False)
class Comparison:
    """Contenders side by side, and what the difference of each pair is worth. Errors are in percent.

    Args:
        contenders: the figures of each, over its seeds.
        pairs: the tests and the verdict of each two.
        origin: versions, platform and commit of what computed it.
        out: the folder in which it was written; None where it was not.
    """

    contenders: tuple[ContenderRow, ...]
    pairs: tuple[PairRow, ...]
    origin: Mapping[str, Any]
    out: Path | None = None

    @property
    def verdict(self) -> str:
        """What the comparison showed, in one sentence."""
        return self.summary[0] if self.summary else ""

    @property
    def summary(self) -> list[str]:
        """The verdict, and what must be added to it."""
        return summarize(self.contenders, self.pairs)

    @property
    def verdicts(self) -> dict[tuple[str, str], list[str]]:
        """Per pair of labels the sentences about the two."""
        return {(pair["first"], pair["second"]): pair.get("verdict", []) for pair in self.pairs}

    def table(self) -> Table:
        """The contenders as the screen shows them."""
        return Table.of(contender_columns(self.contenders), self.contenders)

    def to_frame(self) -> Any:
        """``table`` as a pandas frame.

        Raises:
            UsageError: pandas is not installed.
        """
        return self.table().to_frame()

    @property
    def tested_on(self) -> str:
        """The data sets and protocols of the test errors: ``cifar10, protocol single``."""
        return tested_on(self.contenders)

    def net_curves(self) -> list[NetCurves]:
        """The error curves of every contender that has run directories."""
        found = []
        for one in self.contenders:
            curves = (RunCurves.of_checkpoint(Path(run["checkpoint"])) for run in one["runs"])
            seeds = tuple(seed for seed in curves if seed is not None)
            if seeds:
                found.append(NetCurves(one["label"], one["model"], seeds))
        return found

    def figure(self) -> Figure | None:
        """The error curves as a matplotlib figure, as Figure 6; None without any run directory."""
        nets = self.net_curves()
        return curves_figure(nets, title=self.verdict) if nets else None

    def responses_figure(self) -> Figure | None:
        """The layer responses as a matplotlib figure, as Figure 7; None where they were not measured."""
        stds = [
            (one["label"], [layer["std"] for layer in responses["layers"]])
            for one in self.contenders
            if (responses := one.get("responses"))
        ]
        return responses_figure(stds) if stds else None

    def save(self, folder: str | Path) -> Path:
        """Write compare.json, report.html, and curves and responses as PNG and SVG where there are any.

        Raises:
            RescliError: the folder cannot be written.
        """
        folder = Path(folder)
        write_atomically(folder / "compare.json", (self.to_json() + "\n").encode())
        for name, figure in (("curves", self.figure()), ("responses", self.responses_figure())):
            for suffix in ("png", "svg"):
                if figure is not None:
                    write_atomically(folder / f"{name}.{suffix}", as_bytes(figure, suffix))
        write_atomically(folder / "report.html", self.page().encode())
        return folder

    def page(self) -> str:
        """The whole comparison as one HTML file that needs nothing else."""
        origin = Origin(rescli_version=self.origin["rescli_version"], versions=self.origin["versions"])
        return comparison_page(
            summary=self.summary,
            contenders=self.contenders,
            pairs=self.pairs,
            origin=origin,
            curves=self.net_curves(),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        rows = {"contenders": list(self.contenders), "pairs": list(self.pairs), "summary": self.summary}
        return {**rows, **self.origin}

    def to_json(self) -> str:
        """compare.json."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def __repr__(self) -> str:
        nets = len(self.contenders)
        return short(
            f"Comparison of {counted(nets, 'net')}", [*self.summary[:1], *str(self.table()).splitlines()]
        )

    def _repr_html_(self) -> str:
        sentences = "".join(f"<p>{html_text(text)}</p>" for text in self.summary)
        return f"{sentences}{self.table()._repr_html_()}"
