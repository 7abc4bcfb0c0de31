"""One fault that is tried: what it is drawn from, and what rescli must not do when it is met."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["COLUMNS", "EXIT_CODES", "Case", "Failed", "faults"]

COLUMNS = ("lost", "unnoticed", "wrong exit", "traceback", "hung", "over memory")
"""What can go wrong with a fault: a run or a file is gone; damage is taken for sound; another exit code than
documented; Python's traceback; no end within the time; more memory than allowed."""

EXIT_CODES = frozenset({0, 1, 2, 3, 4, 5, 6, 130})


class Failed(AssertionError):
    """A fault that rescli did not stand; ``column`` is one of ``COLUMNS``."""

    def __init__(self, column: str, what: str) -> None:
        assert column in COLUMNS, column
        super().__init__(f"{column}: {what}")
        self.column = column


@dataclass
class Case:
    """A case of its kind. The same part, seed and number draw the same fault on any machine.

    Args:
        part: the test function it belongs to.
        seed: of the whole suite.
        number: of the case, from 0.
    """

    part: str
    seed: int
    number: int
    kind: str = ""
    what: str = ""
    dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.seed}/{self.part}/{self.number}")

    def __str__(self) -> str:
        return f"{self.part}[{self.seed}-{self.number}] {self.kind}: {self.what}"

    def tries(self, kind: str, what: str) -> None:
        """Name it, before it is tried: ``kind`` is the row of the table, ``what`` tells this one apart."""
        self.kind, self.what = kind, what

    def fails(self, column: str, what: str) -> Failed:
        """To be raised."""
        return Failed(column, f"{self}\n{what}")


def faults(*, short: int, long: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test of ``case``, met ``short`` times in each run and ``long`` times in the long part."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        test.faults = (short, long)  # type: ignore[attr-defined]
        return test

    return mark
