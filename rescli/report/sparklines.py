"""Curves in a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

__all__ = ["sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], *, highest: float, width: int = 32) -> str:
    """One block a value, from 0 to ``highest``; of more values than ``width`` each block is a mean."""
    count = min(width, len(values))
    bounds = [round(part * len(values) / count) for part in range(count + 1)] if count else []
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(bounds)]
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[min(top, max(0, round(top * mean / (highest or 1.0))))] for mean in means)
