"""The numbers of the paper as data: one TOML file a table, with protocol and source. No torch."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rescli.errors import UnknownNameError

__all__ = ["PublishedRow", "PublishedTable", "published_table", "published_tables"]

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class PublishedRow:
    """One net of a table; errors in percent.

    Args:
        name: as the paper calls it.
        split: which part of the data set it was tested on.
        model: rescli's name for it; None for nets of others, which have a name only.
        shortcut: A, B or C where the paper names it.
        top1_error, top5_error: of one run, or of the best of several.
        mean, std, n: over repeated runs, where the paper gives them.
        params: as printed in the paper.
    """

    name: str
    split: str
    model: str | None = None
    shortcut: str | None = None
    top1_error: float | None = None
    top5_error: float | None = None
    mean: float | None = None
    std: float | None = None
    n: int | None = None
    params: str | None = None


@dataclass(frozen=True)
class PublishedTable:
    """A table of the paper.

    Args:
        dataset, split, protocol: what its nets were tested on, and how; all by rescli's names.
        rows: in the paper's order.
    """

    name: str
    title: str
    source: str
    dataset: str
    split: str
    protocol: str
    rows: tuple[PublishedRow, ...]

    def row(self, model: str, shortcut: str | None) -> PublishedRow | None:
        """The row of one of our nets; None where the table has none."""
        found = [row for row in self.rows if row.model == model and row.shortcut == shortcut]
        return found[0] if found else None


def published_tables() -> list[str]:
    """The names of all tables, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


@cache
def published_table(name: str) -> PublishedTable:
    """The table of that name, such as ``table6``.

    Raises:
        UnknownNameError: the paper has no such table, or it is not here.
    """
    if name not in published_tables():
        raise UnknownNameError("published table", name, published_tables())
    data = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    rows = [PublishedRow(**{"name": _name(row), "split": data["split"], **row}) for row in data.pop("row")]
    return PublishedTable(name=name, **data, rows=tuple(rows))


def _name(row: dict[str, str]) -> str:
    """``ResNet-34 B``, ``plain-34``: as the paper writes them."""
    model = row.get("model", row.get("name", ""))
    return f"{model.replace('resnet', 'ResNet')} {row.get('shortcut', '')}".strip()
