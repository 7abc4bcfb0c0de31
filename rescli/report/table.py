"""Tables as columns: one object a column, which the screen, the page and a notebook all use."""

from __future__ import annotations

import html
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ["Cell", "Column", "Table"]

Row = TypeVar("Row")


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
    """Heads and cells, row by row; shows itself as text, and in a notebook as HTML."""

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
        lines = [self.heads, *(tuple(cell.text for cell in row) for row in self.rows)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.heads))]
        padded = (
            [
                text.ljust(width) if words else text.rjust(width)
                for text, width, words in zip(line, widths, self.words, strict=True)
            ]
            for line in lines
        )
        return "\n".join("  ".join(line).rstrip() for line in padded)

    def _repr_html_(self) -> str:
        head = self._html_row("th", self.heads)
        rows = "".join(self._html_row("td", [cell.text for cell in row]) for row in self.rows)
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"

    def _html_row(self, tag: str, texts: Sequence[str]) -> str:
        cells = (
            f"<{tag} style='text-align:{'left' if words else 'right'}'>{html.escape(text)}</{tag}>"
            for text, words in zip(texts, self.words, strict=True)
        )
        return f"<tr>{''.join(cells)}</tr>"

    def as_frame(self) -> Any:
        """A pandas DataFrame of numbers and words where pandas is installed, else the table itself."""
        if importlib.util.find_spec("pandas") is None:
            return self
        pandas = importlib.import_module("pandas")
        columns = {
            head: [row[place].text if self.words[place] else row[place].value for row in self.rows]
            for place, head in enumerate(self.heads)
        }
        return pandas.DataFrame(columns)
