"""What an evaluation came to: rows of errors, and a closer look at the images behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from rescli.checkpoints.logits_file import write_logits
from rescli.evaluation.metrics import percent
from rescli.evaluation.result import ClassRow, EvalRow, NetResult, per_class, result_line
from rescli.evaluation.table import class_table, eval_table
from rescli.plurals import counted
from rescli.report.table import Column, Table, frame_of, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EvalJson", "Evaluation", "Mistake"]


class EvalJson(TypedDict):
    """The JSON object that ``rescli eval`` prints."""

    results: list[EvalRow]


@dataclass(frozen=True)
class Mistake:
    """An image that the net takes for another class.

    Args:
        index: its number in the split.
        file: its name, or ``#3`` where the set's authors gave none.
        true: its class.
        predicted: what it is taken for.
        probability: of the predicted class, from 0 to 1.
        probability_of_true: of its own class.
    """

    index: int
    file: str
    true: str
    predicted: str
    probability: float
    probability_of_true: float


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Results in the order of the nets, the ensemble's last; shows itself in a notebook.

    Args:
        results: one a net, with logits and images.
    """

    results: tuple[NetResult, ...]

    @property
    def rows(self) -> list[EvalRow]:
        """A row for each net, as JSON values; errors in percent."""
        return [result.row for result in self.results]

    def per_class(self, number: int = -1) -> list[ClassRow]:
        """Errors by true class of one result, the last unless ``number`` says else."""
        return per_class(self.results[number])

    def table(self) -> Table:
        """A row for each net: its errors on the split, by the protocol."""
        return Table.of(_COLUMNS, self.rows)

    def text(self, *, by_class: bool = False, kept: str = "logits kept from before") -> str:
        """Plain columns, as ``rescli eval`` prints them.

        Args:
            by_class: also the error of each class.
            kept: what is said where logits were found in the cache.
        """
        parts = [eval_table(self.rows, kept=kept)]
        if by_class:
            parts += [class_table(result.row, per_class(result)) for result in self.results]
        return "\n\n".join(parts)

    def to_json(self, *, by_class: bool = False) -> EvalJson:
        """All of it as JSON values, as ``rescli eval`` prints them.

        Args:
            by_class: also the errors of each class.
        """
        if not by_class:
            return {"results": self.rows}
        rows = [result.row.copy() for result in self.results]
        for row, result in zip(rows, self.results, strict=True):
            row["per_class"] = per_class(result)
        return {"results": rows}

    def to_frame(self) -> Any:
        """A pandas frame with the rows' plain values.

        Raises:
            UsageError: pandas is not installed.
        """
        left_out = ("views", "subset", "interval95", "per_class")
        return frame_of([{k: v for k, v in row.items() if k not in left_out} for row in self.rows])

    def save_logits(self, path: str | Path) -> None:
        """Write every view's logits, the labels and the file names to a .safetensors file.

        Raises:
            UsageError: the nets were evaluated on different images or classes.
            CheckpointError: it cannot be written.
        """
        write_logits(Path(path), [result for result in self.results if result.logits_NVK is not None])

    def mistakes(self, *, most: int | None = None, number: int = -1) -> list[Mistake]:
        """The images that a net gets wrong, the most confident of its mistakes first.

        Args:
            most: how many at most; None for all.
            number: of the result; the last one unless it says else.
        """
        result = self.results[number]
        probabilities_NS = result.among_set.exp()
        confidences_N, predicted_N = probabilities_NS.max(1)
        wrong = (predicted_N != result.labels_N).nonzero()[:, 0]
        order = wrong[confidences_N[wrong].argsort(descending=True, stable=True)]
        return [
            Mistake(
                index=index,
                file=result.file_names[index] if result.file_names else f"#{index}",
                true=result.class_names[int(result.labels_N[index])],
                predicted=result.class_names[int(predicted_N[index])],
                probability=float(confidences_N[index]),
                probability_of_true=float(probabilities_NS[index, result.labels_N[index]]),
            )
            for index in order[:most].tolist()
        ]

    def mistakes_figure(self, *, most: int = 48, number: int = -1) -> Figure:
        """A contact sheet of the most confident mistakes: predicted class, true class, the file's name.

        Args:
            most: how many at most.
            number: of the result; the last one unless it says else.
        """
        from rescli.report.contact_sheet import SHORT, Line, Tile, contact_sheet
        from rescli.report.fonts import file_names, picture_names

        result = self.results[number]
        chosen = self.mistakes(number=number)
        row = result.row
        names = picture_names(result.class_names, longest=SHORT)
        shown = dict(zip(result.class_names, names.labels, strict=True))
        files = file_names([Path(one.file).name for one in chosen[:most]])
        tiles = [
            Tile(
                image=result.images.image(one.index),
                lines=(
                    Line(f"{shown[one.predicted]} {one.probability:.0%}", bold=True, color="wrong"),
                    Line(f"true: {shown[one.true]} {one.probability_of_true:.0%}", color="right"),
                    Line(file, faint=True, middle=True),
                ),
            )
            for one, file in zip(chosen[:most], files.labels, strict=True)
        ]
        count = f"{len(tiles)} of " * (len(tiles) < len(chosen)) + counted(len(chosen), "mistake")
        where = f"{row['dataset']} {row['split']}, {counted(row['num_images'], 'image')}"
        figure = contact_sheet(tiles, title=f"{row['model']} on {where}: {count}, the most confident first")
        figure.legend_lines = (*names.legend, *files.legend)
        return figure

    def confusion_figure(self, *, number: int = -1) -> Figure:
        """The confusion matrix of one result.

        Args:
            number: of the result; the last one unless it says else.
        """
        from rescli.report.figures import confusion_figure

        result = self.results[number]
        rows, row = per_class(result), result.row
        error = row.get("subset", row)["top1_error"]
        return confusion_figure(
            [entry["predicted"] for entry in rows],
            [entry["class"] for entry in rows],
            title=f"{row['model']} on {row['dataset']} {row['split']}: {error:.2f} % error",
        )

    def __len__(self) -> int:
        return len(self.results)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return short(
            f"Evaluation of {len(self)} {'net' if len(self) == 1 else 'nets'}",
            [result_line(row) for row in self.rows],
        )

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


_COLUMNS = (
    Column[EvalRow]("net", lambda row: row["model"]),
    Column[EvalRow]("split", lambda row: f"{row['dataset']} {row['split']}"),
    Column[EvalRow]("images", lambda row: f"{row['num_images']:,}", lambda row: row["num_images"]),
    Column[EvalRow]("protocol", lambda row: row["protocol"]),
    Column[EvalRow]("top-1 error", lambda row: f"{row['top1_error']:.2f} %", lambda row: row["top1_error"]),
    Column[EvalRow]("95 % interval", lambda row: "{:.2f} to {:.2f}".format(*row["interval95"])),
    Column[EvalRow]("top-5 error", lambda row: percent(row["top5_error"]), lambda row: row["top5_error"]),
    Column[EvalRow]("selection", lambda row: row["selection"]),
)
