"""Is one net better than another? Paired tests on images, and tests over training seeds.

Errors and differences are in percent, a difference is first minus second: negative where the first is better.
The two kinds of test answer different questions. On images: would these two trained nets still differ on
other images like these? Over seeds: would nets trained anew in the same two ways still differ?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

__all__ = [
    "PairedResult",
    "SeedsResult",
    "compare_predictions",
    "compare_seeds",
    "detectable_on_images",
    "mcnemar_exact",
]

POWER = 0.8
"""Power at which the smallest detectable difference is found: its share of repetitions, at the 5 % level."""

_RESAMPLES = 10_000

_ROUNDING = 1e-9
"""Points of error: the std of equal errors may come out as much."""


@dataclass(frozen=True)
class PairedResult:
    """Two nets on the same images.

    Args:
        num_images: how many.
        only_first_wrong, only_second_wrong: images that one net gets wrong and the other right.
        difference: of the errors, first less second, in percentage points.
        interval95: of the difference, by the paired bootstrap over images (percentiles).
        p_mcnemar: two-sided, exact.
        detectable: smallest difference found with 80 % power; None where there is none.
    """

    num_images: int
    only_first_wrong: int
    only_second_wrong: int
    difference: float
    interval95: tuple[float, float]
    p_mcnemar: float
    detectable: float | None


@dataclass(frozen=True)
class SeedsResult:
    """Two ways to train, several seeds each.

    Args:
        counts: seeds on each side.
        means: errors in percent.
        stds: with n - 1; None with one seed on a side, as all that follows from them.
        difference: first mean less second, in percentage points.
        interval95, p_welch: Welch's, with unequal variances; None too where no side varies.
        p_permutation: two-sided, over all ways to divide the runs between the two, or 10,000 of them.
        detectable: smallest difference found with 80 % power at the observed stds.
    """

    counts: tuple[int, int]
    means: tuple[float, float]
    stds: tuple[float | None, float | None]
    difference: float
    interval95: tuple[float, float] | None
    p_welch: float | None
    p_permutation: float | None
    detectable: float | None


def compare_predictions(
    first_wrong_N: NDArray[np.bool_], second_wrong_N: NDArray[np.bool_], *, seed: int = 0
) -> PairedResult:
    """Compare two nets by which of the same N images each gets wrong.

    Args:
        first_wrong_N, second_wrong_N: True where the net is wrong.
        seed: for the bootstrap.

    Raises:
        ValueError: no images, or not as many for both.
    """
    if len(first_wrong_N) == 0 or len(first_wrong_N) != len(second_wrong_N):
        raise ValueError(
            f"needs the same images for both, got {len(first_wrong_N)} and {len(second_wrong_N)}"
        )
    num_images = len(first_wrong_N)
    only_first = int((first_wrong_N & ~second_wrong_N).sum())
    only_second = int((~first_wrong_N & second_wrong_N).sum())
    # Resampling images is resampling these three kinds of image: one multinomial draw each time.
    shares = np.array([only_first, only_second, num_images - only_first - only_second]) / num_images
    draws = np.random.default_rng(seed).multinomial(num_images, shares, size=_RESAMPLES)
    low, high = np.percentile(100 * (draws[:, 0] - draws[:, 1]) / num_images, [2.5, 97.5])
    return PairedResult(
        num_images=num_images,
        only_first_wrong=only_first,
        only_second_wrong=only_second,
        difference=100 * (only_first - only_second) / num_images,
        interval95=(float(low), float(high)),
        p_mcnemar=mcnemar_exact(only_first, only_second),
        detectable=detectable_on_images(num_images, only_first + only_second),
    )


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of the exact McNemar test (McNemar 1947): could a fair coin divide the images on which the
    nets disagree as unevenly? Summed in integers, so exact for any number of images."""
    tosses, fewer = only_first + only_second, min(only_first, only_second)
    term, total = 1, 1  # binomial coefficients
    for k in range(1, fewer + 1):
        term = term * (tosses - k + 1) // k
        total += term
    return min(1.0, 2 * total / (1 << tosses))


def detectable_on_images(num_images: int, disagreements: int) -> float | None:
    """Smallest difference in percent that McNemar's test finds with 80 % power on so many images, where the
    nets disagree as often as these do (Connor 1987); None where not even the largest would be found."""
    if disagreements == 0:
        return None
    rate = disagreements / num_images
    z_level, z_power = stats.norm.ppf(0.975), stats.norm.ppf(POWER)
    low, high = 0.0, rate
    for _ in range(60):  # a larger difference has more power: bisect
        difference = (low + high) / 2
        needed = ((z_level * math.sqrt(rate) + z_power * math.sqrt(rate - difference**2)) / difference) ** 2
        low, high = (difference, high) if needed > num_images else (low, difference)
    return 100 * high if high < rate * (1 - 1e-9) else None


def compare_seeds(first: Sequence[float], second: Sequence[float]) -> SeedsResult:
    """Compare two ways to train by the errors of runs that differ in their seed alone.

    Args:
        first, second: errors in percent, one a seed.

    Raises:
        ValueError: a side without runs.
    """
    if not first or not second:
        raise ValueError("needs at least one run of each")
    samples = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    counts = len(first), len(second)
    stds = tuple(float(s.std(ddof=1)) if len(s) > 1 else None for s in samples)
    means = float(samples[0].mean()), float(samples[1].mean())
    interval = p_welch = p_permutation = detectable = None
    if stds[0] is not None and stds[1] is not None:
        variances = stds[0] ** 2 / counts[0], stds[1] ** 2 / counts[1]
        standard_error = math.sqrt(sum(variances))
        if standard_error > _ROUNDING:
            freedom = standard_error**4 / sum(v**2 / (n - 1) for v, n in zip(variances, counts, strict=True))
            quantile = float(stats.t.ppf(0.975, freedom))
            gap = means[0] - means[1]
            p_welch = float(2 * stats.t.sf(abs(gap) / standard_error, freedom))
            interval = (gap - quantile * standard_error, gap + quantile * standard_error)
            detectable = float((quantile + stats.t.ppf(POWER, freedom)) * standard_error)
        p_permutation = float(
            stats.permutation_test(
                samples, _difference_of_means, vectorized=True, n_resamples=_RESAMPLES, rng=0
            ).pvalue
        )
    return SeedsResult(
        counts=counts,
        means=means,
        stds=(stds[0], stds[1]),
        difference=means[0] - means[1],
        interval95=interval,
        p_welch=p_welch,
        p_permutation=p_permutation,
        detectable=detectable,
    )


def _difference_of_means(
    first: NDArray[np.float64], second: NDArray[np.float64], axis: int
) -> NDArray[np.float64]:
    return np.asarray(np.mean(first, axis=axis) - np.mean(second, axis=axis))
