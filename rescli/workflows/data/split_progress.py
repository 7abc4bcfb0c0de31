"""How a workflow that reads a data set split by split tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["SplitProgress", "unseen", "within_split"]

SplitProgress: TypeAlias = Callable[[str, int, "int | None"], None]
"""Called with a split, the number of its images done, and how many it has: None while it is being read."""


def unseen(split: str, done: int, total: int | None) -> None:
    """Tell nobody."""


def within_split(tell: SplitProgress, split: str, total: int) -> Callable[[int], None]:
    """``tell`` for a split of ``total`` images, to be called with the number done alone; begins at 0."""
    tell(split, 0, total)
    return lambda done: tell(split, done, total)
