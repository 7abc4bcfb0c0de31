"""What a net says of pictures: the classes of each, and how to look at them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from rescli.evaluation.images.pictures import Picture, read_picture
from rescli.evaluation.table import short_name
from rescli.files import write_atomically
from rescli.foreign_text import html_text, readable
from rescli.plurals import counted
from rescli.report.table import Column, Table, short
from rescli.text_width import cell_width, padded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "EDITED",
    "ClassProbability",
    "Prediction",
    "PredictionRow",
    "Predictions",
    "PredictionsJson",
    "Skipped",
    "SkippedRow",
]

EDITED = "edited"
"""The weights of a net that were changed since it was loaded."""

_MOST_SKIPPED = 50
"""Named in a notebook; all of them are in the object."""

_WIDEST = 40
"""Columns that a table gives to names of files."""


class _LabelRow(TypedDict):
    label: str
    probability: float


class PredictionRow(TypedDict):
    """One picture as JSON values; probabilities from 0 to 1."""

    file: str
    label: str
    probability: float
    top: list[_LabelRow]


class SkippedRow(TypedDict):
    """One picture that could not be read."""

    file: str
    reason: str


class PredictionsJson(TypedDict):
    """The JSON object that ``rescli predict`` prints."""

    checkpoint: str | None
    sha256: str | None
    model: str
    protocol: str
    preparation: str
    precision: str
    device: str
    predictions: list[PredictionRow]
    skipped: list[SkippedRow]


@dataclass(frozen=True)
class ClassProbability:
    """A class and its probability, from 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What the net says of one picture.

    Args:
        file: its name, or ``#3`` for the fourth of those that have none.
        top: the most probable classes, the first one first.
    """

    file: str
    top: tuple[ClassProbability, ...]

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.top[0].label

    @property
    def probability(self) -> float:
        """How probable its label is, from 0 to 1."""
        return self.top[0].probability


@dataclass(frozen=True)
class Skipped:
    """A picture that could not be read, and why."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """The predictions of one net, in the order of the pictures; shows itself in a notebook.

    Args:
        rows: one a picture that could be read.
        skipped: the others.
        pictures: what ``rows`` are about, for the contact sheet.
        checkpoint: the file with the weights; None where they were edited since they were read.
        sha256: of that file; None likewise.
        model: ``resnet-56``.
        protocol: the name of the test protocol.
        preparation: what happened to a picture before the net saw it.
        precision: of the convolutions.
        device: where they were computed.
    """

    rows: tuple[Prediction, ...]
    skipped: tuple[Skipped, ...]
    pictures: tuple[Picture, ...]
    checkpoint: str | None
    sha256: str | None
    model: str
    protocol: str
    preparation: str
    precision: str
    device: str

    @property
    def weights(self) -> str:
        """The file with the weights, or ``edited`` where they are no file's."""
        return self.checkpoint or EDITED

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Prediction:
        return self.rows[index]

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.rows)

    def __repr__(self) -> str:
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        title = f"Predictions of {self._net} for {counted(len(self), 'picture')}{skipped}"
        return short(title, [f"{_base_name(row.file)}  {_classes(row.top)}" for row in self.rows])

    def __str__(self) -> str:
        """Plain columns, as ``rescli predict`` prints them: file, label, probability, the further classes."""
        files, labels = [readable(row.file) for row in self], [short_name(row.label) for row in self]
        # One long path moves its own line alone.
        width = min(_WIDEST, max(map(cell_width, ("file", *files))))
        label_width = max(map(cell_width, ("label", *labels)))
        lines = [f"{'file':{width}}  {'label':{label_width}}  probability"]
        for row, file, label in zip(self.rows, files, labels, strict=True):
            first = f"{padded(file, width)}  {padded(label, label_width)}  {row.probability:11.2%}"
            lines.append(f"{first}  {_classes(row.top[1:])}".rstrip())
        return "\n".join(lines)

    def table(self) -> Table:
        """A line for each picture: file, label, probability, then the other classes and theirs."""
        count = max((len(row.top) for row in self.rows), default=1)
        columns = [Column[Prediction]("file", lambda row: row.file)]
        for rank in range(count):
            columns += _ranked(rank)
        return Table.of(columns, self.rows)

    def to_json(self) -> PredictionsJson:
        """All of it as JSON values."""
        return {
            "checkpoint": self.checkpoint,
            "sha256": self.sha256,
            "model": self.model,
            "protocol": self.protocol,
            "preparation": self.preparation,
            "precision": self.precision,
            "device": self.device,
            "predictions": [_row(row) for row in self.rows],
            "skipped": [{"file": one.file, "reason": one.reason} for one in self.skipped],
        }

    def to_csv(self, path: str | Path) -> None:
        """Write a line for each picture: file, label, probability, then the other classes and theirs.

        Raises:
            RescliError: it cannot be written.
        """
        count = max((len(row.top) for row in self.rows), default=1)
        heads = [text for rank in range(2, count + 1) for text in (f"label{rank}", f"probability{rank}")]
        written = io.StringIO(newline="")
        lines = csv.writer(written, lineterminator="\n")
        lines.writerow(["file", "label", "probability", *heads])
        for row in self.rows:
            cells = [cell for one in row.top for cell in (one.label, f"{one.probability:.6f}")]
            lines.writerow([row.file, *cells])
        write_atomically(Path(path), written.getvalue().encode("utf-8", "surrogateescape"))

    def to_frame(self) -> Any:
        """``table`` as a pandas frame.

        Raises:
            UsageError: pandas is not installed.
        """
        return self.table().to_frame()

    def figure(self, *, most: int = 100) -> Figure:
        """A contact sheet: each picture with its label, probability and name.

        Args:
            most: how many pictures are shown, from the first on.
        """
        from rescli.report.contact_sheet import ENOUGH, SHORT, Line, Tile, contact_sheet
        from rescli.report.fonts import file_names, picture_names

        files = file_names([_base_name(row.file) for row in self.rows[:most]])
        labels = sorted({row.label for row in self.rows[:most]})
        names = picture_names(labels, longest=SHORT)
        named = dict(zip(labels, names.labels, strict=True))
        tiles = [
            Tile(
                image=read_picture(picture, enough=ENOUGH),
                lines=(
                    Line(named[row.label], bold=True),
                    Line(f"{row.probability:.1%}"),
                    Line(file, faint=True, middle=True),
                ),
            )
            for row, picture, file in zip(self.rows[:most], self.pictures[:most], files.labels, strict=True)
        ]
        shown = f"{len(tiles)} of " * (len(tiles) < len(self)) + counted(len(self), "picture")
        figure = contact_sheet(tiles, title=f"{self._net}, {self.protocol}: {shown}")
        figure.legend_lines = (*names.legend, *files.legend)
        return figure

    def _repr_html_(self) -> str:
        notes = [html_text(f"skipped: {one.reason}") for one in self.skipped[:_MOST_SKIPPED]]
        below = "".join(f"<p>{note}</p>" for note in notes)
        return self.table().to_html(caption=f"{self._net}; {self.preparation}") + below

    @property
    def _net(self) -> str:
        return self.model if self.checkpoint else f"{self.model} ({EDITED})"


def _ranked(rank: int) -> list[Column[Prediction]]:
    """Label and probability of the class of one rank, headed as in the CSV."""
    number = str(rank + 1) if rank else ""
    return [
        Column(f"label{number}", lambda row: row.top[rank].label),
        Column(
            f"probability{number}",
            lambda row: f"{row.top[rank].probability:.2%}",
            lambda row: row.top[rank].probability,
        ),
    ]


def _classes(top: Sequence[ClassProbability]) -> str:
    return ", ".join(f"{short_name(one.label)} {one.probability:.2%}" for one in top)


def _row(row: Prediction) -> PredictionRow:
    return {
        "file": row.file,
        "label": row.label,
        "probability": row.probability,
        "top": [{"label": one.label, "probability": one.probability} for one in row.top],
    }


def _base_name(file: str) -> str:
    return Path(file).name or file
