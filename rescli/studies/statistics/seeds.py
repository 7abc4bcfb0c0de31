"""Several seeds as one figure: mean, standard deviation and how many there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import numpy as np

__all__ = ["SeedsMean", "mean_std_text", "over_seeds"]


class SeedsMean(TypedDict):
    """A figure over seeds, in its own unit: ``std`` with n - 1, None for one seed; ``n`` counts the seeds."""

    mean: float
    std: float | None
    n: int


def over_seeds(values: Iterable[float | None]) -> SeedsMean | None:
    """Mean and spread of the seeds that have the figure; None where none has it.

    Args:
        values: one a seed; None where the seed has no such figure.

    Example:
        >>> over_seeds([8.0, None, 10.0])["mean"], over_seeds([None])
        (9.0, None)
    """
    there = [value for value in values if value is not None]
    if not there:
        return None
    std = float(np.std(there, ddof=1)) if len(there) > 1 else None
    return {"mean": float(np.mean(there)), "std": std, "n": len(there)}


def mean_std_text(figure: SeedsMean | None, *, always_count: bool = False) -> str:
    """``8.75 ± 0.12 (5)``; of one seed the value alone, and nothing where there is no figure.

    Args:
        figure: in percent.
        always_count: whether one seed is counted too, ``8.75 (1)``.

    Example:
        >>> mean_std_text({"mean": 8.75, "std": 0.12, "n": 5})
        '8.75 ± 0.12 (5)'
    """
    if figure is None:
        return ""
    spread = f" ± {figure['std']:.2f}" if figure["std"] is not None else ""
    count = f" ({figure['n']})" if spread or always_count else ""
    return f"{figure['mean']:.2f}{spread}{count}"
