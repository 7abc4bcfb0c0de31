"""A published error beside a measured one: do they agree, as far as either is sure of itself?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from rescli.evaluation.metrics import wilson_interval
from rescli.plurals import counted
from rescli.studies.published import PublishedRow

__all__ = ["Agreement", "agreement"]


@dataclass(frozen=True)
class Agreement:
    """A published error beside a measured one, both in percent.

    Args:
        published, measured: the errors.
        interval95: the published values that would agree with what was measured.
        how: which interval that is.
    """

    published: float
    measured: float
    interval95: tuple[float, float]
    how: str

    @property
    def verdict(self) -> str:
        """Whether they agree, and if not which is better."""
        low, high = self.interval95
        if low <= self.published <= high:
            return "agrees"
        return "better than published" if self.published > high else "worse than published"


def agreement(published: PublishedRow, errors: Sequence[float], num_images: int) -> Agreement | None:
    """Hold the top-1 errors of one run a seed against the paper's; None where the paper gives no number.

    One seed: the Wilson interval of its error on so many images. Several: those of one run published are
    held against the interval that one more run would fall in; a published mean with its std against the
    Welch interval of the difference of means.

    Args:
        published: the paper's row.
        errors: in percent, one a seed, at least one.
        num_images: how many were tested.
    """
    value = published.mean if published.mean is not None else published.top1_error
    if value is None:
        return None
    n, mean = len(errors), float(np.mean(errors))
    if n == 1:
        return Agreement(value, mean, wilson_interval(mean, num_images), "Wilson, one seed")
    variance = float(np.var(errors, ddof=1))
    if published.mean is not None and published.std is not None and published.n is not None:
        ours, theirs = variance / n, published.std**2 / published.n
        if ours + theirs == 0:
            return Agreement(value, mean, (mean, mean), "no spread")
        freedom = (ours + theirs) ** 2 / (ours**2 / (n - 1) + theirs**2 / (published.n - 1))
        half = float(stats.t.ppf(0.975, freedom)) * sqrt(ours + theirs)
        how = f"Welch, {n} and {published.n} seeds"
    else:
        half = float(stats.t.ppf(0.975, n - 1)) * sqrt(variance * (1 + 1 / n))
        how = f"one more run, from {counted(n, 'seed')}"
    return Agreement(value, mean, (mean - half, mean + half), how)
