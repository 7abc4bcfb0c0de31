"""Tables as columns: one object a column, which the screen, the page and a notebook all use."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rescli.errors import UsageError
from rescli.foreign_text import html_text, readable
from rescli.text_width import cell_width, padded

__all__ = ["Cell", "Column", "Table", "frame_of", "short"]

Row = TypeVar("Row")

_MOST_LINES, _MOST_LETTERS = 8, 100
"""A result in a shell has no more, and no longer ones."""
_MOST_ROWS = 50
"""A table in a notebook has no more; all of them are in the object."""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column of a table.

    Args:
        head: its title.
        text: a row's cell as it is read.
        value: the same as a number, for sorting and for pandas; None for a column of words.
    """

    head: str
    text: Callable[[Row], str]
    value: Callable[[Row], float | int | None] | None = None


@dataclass(frozen=True)
class Cell:
    """``value`` is None for words, and where there is no number."""

    text: str
    value: float | int | None


@dataclass(frozen=True)
class Table:
    """Heads and cells, row by row; prints as text, shows itself as HTML in a notebook."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: tuple[bool, ...]
    """Whether a column holds words, which stand on the left."""

    @classmethod
    def of(cls, columns: Sequence[Column[Row]], rows: Sequence[Row]) -> Table:
        """The cells of all columns for all rows."""
        cells = tuple(
            tuple(Cell(column.text(row), column.value(row) if column.value else None) for column in columns)
            for row in rows
        )
        heads = tuple(column.head for column in columns)
        return cls(heads, cells, tuple(column.value is None for column in columns))

    def __str__(self) -> str:
        lines = [self.heads, *(tuple(readable(cell.text) for cell in row) for row in self.rows)]
        widths = [max(cell_width(line[place]) for line in lines) for place in range(len(self.heads))]
        aligned = (
            [
                padded(text, width) if words else text.rjust(width)
                for text, width, words in zip(line, widths, self.words, strict=True)
            ]
            for line in lines
        )
        return "\n".join("  ".join(line).rstrip() for line in aligned)

    def __repr__(self) -> str:
        return short("Table", str(self).splitlines())

    def __len__(self) -> int:
        return len(self.rows)

    def to_html(self, *, caption: str = "") -> str:
        """The table as HTML, its first 50 rows.

        Args:
            caption: a line of text above it.
        """
        above = f"<caption>{html_text(caption)}</caption>" if caption else ""
        head = self._html_row("th", self.heads)
        rows = "".join(self._html_row("td", [cell.text for cell in row]) for row in self.rows[:_MOST_ROWS])
        more = f"<p>{len(self) - _MOST_ROWS:,} more</p>" if len(self) > _MOST_ROWS else ""
        return f"<table>{above}<thead>{head}</thead><tbody>{rows}</tbody></table>{more}"

    def _html_row(self, tag: str, texts: Sequence[str]) -> str:
        cells = (
            f"<{tag} style='text-align:{'left' if words else 'right'}'>{html_text(text)}</{tag}>"
            for text, words in zip(texts, self.words, strict=True)
        )
        return f"<tr>{''.join(cells)}</tr>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_frame(self) -> Any:
        """A pandas DataFrame, its numbers as numbers.

        Raises:
            UsageError: pandas is not installed.
        """
        return frame_of(
            [
                {
                    head: cell.text if words else cell.value
                    for head, cell, words in zip(self.heads, row, self.words, strict=True)
                }
                for row in self.rows
            ],
            self.heads,
        )


def frame_of(rows: Sequence[Mapping[str, object]], heads: Sequence[str] | None = None) -> Any:
    """A ``pandas.DataFrame`` with a line for each row and a column for each key.

    Args:
        rows: of values.
        heads: the columns; None for the keys of the rows.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise UsageError(
            "pandas is not installed; a frame needs it.",
            hint="pip install pandas",
            page="an-extra-is-missing",
        ) from error
    return pandas.DataFrame(list(rows), columns=None if heads is None else list(heads))


def short(title: str, lines: Sequence[str]) -> str:
    """What a result says of itself in a plain shell: ten lines at most, none longer than the screen is wide.

    Args:
        title: what it is.
        lines: what matters most of it; those beyond eight are counted.
    """
    shown = [title, *(f"  {line}" for line in lines[:_MOST_LINES])]
    shown += [f"  ... {len(lines) - _MOST_LINES:,} more"] if len(lines) > _MOST_LINES else []
    return "\n".join(
        line if len(line) <= _MOST_LETTERS else f"{line[: _MOST_LETTERS - 3].rstrip()}..." for line in shown
    )
