"""What became of the faults that were tried, kind by kind: ``python -m trials.table REPORT.json ...``.

The suite writes a report (``--faults-report``); several, of parts that were tried apart, make one. The table
that docs/faults.md shows is printed.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from trials.case import COLUMNS

__all__ = ["Report", "as_markdown"]

_HEADS = ("tried", *COLUMNS, "known")


@dataclass(frozen=True)
class Report:
    """Counts of one or several times that the suite was run.

    Args:
        date: of the last.
        seeds: of each.
        rows: for each kind the numbers of ``_HEADS``.
        known: kinds with the reason why something stays.
        failed: cases that failed, by name.
    """

    date: str
    seeds: list[int]
    rows: dict[str, list[int]]
    known: list[list[str]]
    failed: list[str]

    @classmethod
    def of(cls, found: Iterable[Sequence[str]], *, date: str, seed: int) -> Report:
        """Count them.

        Args:
            found: kind, column (empty where all was right, ``known: REASON``), and name of each case.
            date: of today.
            seed: that they were drawn from.
        """
        found = list(found)
        tried = Counter(kind for kind, _, _ in found)
        ended = Counter((kind, column.partition(":")[0]) for kind, column, _ in found)
        rows = {
            kind: [number, *(ended[kind, column] for column in _HEADS[1:])] for kind, number in tried.items()
        }
        stays = {(kind, column.removeprefix("known: ")) for kind, column, _ in found if _stays(column)}
        failed = [f"{column}: {name}" for _, column, name in found if column and not _stays(column)]
        return cls(date, [seed], rows, sorted(map(list, stays)), sorted(failed))

    @classmethod
    def read(cls, path: Path) -> Report:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def __add__(self, other: Report) -> Report:
        rows = {kind: list(numbers) for kind, numbers in self.rows.items()}
        for kind, numbers in other.rows.items():
            rows[kind] = [a + b for a, b in zip(rows.get(kind, [0] * len(numbers)), numbers, strict=True)]
        return Report(
            max(self.date, other.date),
            sorted({*self.seeds, *other.seeds}),
            rows,
            sorted([*self.known, *(one for one in other.known if one not in self.known)]),
            sorted([*self.failed, *other.failed]),
        )

    def lines(self) -> list[list[str]]:
        """The table's cells: its head, the kinds in order, and all of them together."""
        sums = [sum(column) for column in zip(*self.rows.values(), strict=True)]
        named = [*sorted(self.rows.items()), ("all", sums)]
        return [["kind", *_HEADS], *([kind, *(f"{n:,}" for n in numbers)] for kind, numbers in named)]

    def in_short(self) -> Report:
        """All of ``kill: train``, ``kill: export onnx`` and so on in one row, ``kill``."""
        rows: dict[str, list[int]] = {}
        for kind, numbers in self.rows.items():
            before = rows.get(kind.partition(": ")[0], [0] * len(numbers))
            rows[kind.partition(": ")[0]] = [a + b for a, b in zip(before, numbers, strict=True)]
        return replace(self, rows=rows)

    def as_text(self) -> list[str]:
        """As a terminal shows it, line by line."""
        lines = self.lines()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return [
            "  ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]) for cells in lines
        ]


def _stays(column: str) -> bool:
    return column.startswith("known: ")


def as_markdown(report: Report) -> str:
    """As the handbook shows it, with its date."""
    head, *lines = report.in_short().lines()
    seeds = ", ".join(map(str, report.seeds))
    rows = [head, ["---", *["--:"] * (len(head) - 1)], *lines]
    known = [f"- {kind}: {reason}" for kind, reason in report.known]
    return "\n".join(
        [
            f"Tried on {report.date}, drawn from the seed {seeds}:",
            "",
            *(f"| {' | '.join(cells)} |" for cells in rows),
            *(["", "Known, and the reason why it stays:", "", *known] if known else []),
        ]
    )


if __name__ == "__main__":
    first, *more = (Report.read(Path(name)) for name in sys.argv[1:])
    for one in more:
        first += one
    print(as_markdown(first))
