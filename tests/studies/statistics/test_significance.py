import numpy as np
import pytest
from scipy import stats

from rescli.studies.statistics.significance import (
    compare_predictions,
    compare_seeds,
    detectable_on_images,
    mcnemar_exact,
)


@pytest.mark.parametrize(
    ("b", "c"), [(0, 0), (1, 0), (0, 5), (3, 3), (10, 25), (140, 197), (700, 801), (5000, 4000), (9000, 1000)]
)
def test_mcnemar_is_the_exact_binomial(b, c):
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert mcnemar_exact(c, b) == mcnemar_exact(b, c)


def test_mcnemar_agrees_with_statsmodels():
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
    for b, c in ((4, 9), (30, 51), (200, 260)):
        expected = contingency.mcnemar([[100, b], [c, 20]], exact=True).pvalue
        assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9)


@pytest.fixture
def wrong():
    """Two nets of about 10 and 8 % error that share most of their mistakes."""
    generator = np.random.default_rng(0)
    hard = generator.random(4000) < 0.12
    return hard & (generator.random(4000) < 0.8), hard & (generator.random(4000) < 0.65)


def test_counts_and_difference_of_predictions_by_hand(wrong):
    first, second = wrong
    result = compare_predictions(first, second)
    pairs = [(bool(a), bool(b)) for a, b in zip(first, second, strict=True)]
    assert result.only_first_wrong == pairs.count((True, False))
    assert result.only_second_wrong == pairs.count((False, True))
    assert result.difference == pytest.approx(100 * (first.mean() - second.mean()))
    assert result.p_mcnemar == mcnemar_exact(result.only_first_wrong, result.only_second_wrong)


def test_the_bootstrap_is_that_of_whole_images(wrong):
    first, second = wrong
    result = compare_predictions(first, second)
    slow = stats.bootstrap(
        (first.astype(float) - second.astype(float),),
        np.mean,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(1),
        batch=200,
    ).confidence_interval
    assert result.interval95 == pytest.approx((100 * slow.low, 100 * slow.high), abs=0.08)
    assert result == compare_predictions(first, second)  # the same every time


def test_no_disagreement_is_no_difference_and_nothing_can_be_detected():
    same = np.array([True, False] * 50)
    result = compare_predictions(same, same)
    assert (result.difference, result.interval95, result.p_mcnemar) == (0, (0, 0), 1)
    assert result.detectable is None


def test_the_detectable_difference_is_found_four_times_in_five():
    """Simulated: nets that truly differ by so much, 2000 test sets of 5000 images."""
    num_images, disagreements = 5000, 400
    delta = detectable_on_images(num_images, disagreements) / 100
    rate = disagreements / num_images
    generator = np.random.default_rng(0)
    draws = generator.multinomial(num_images, [(rate + delta) / 2, (rate - delta) / 2, 1 - rate], size=2000)
    found = np.mean([mcnemar_exact(int(b), int(c)) < 0.05 for b, c, _ in draws])
    assert found == pytest.approx(0.8, abs=0.04)


def test_predictions_on_other_images_are_refused():
    with pytest.raises(ValueError, match="the same images"):
        compare_predictions(np.zeros(3, bool), np.zeros(4, bool))
    with pytest.raises(ValueError, match="the same images"):
        compare_predictions(np.zeros(0, bool), np.zeros(0, bool))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([8.75, 8.9, 8.6, 8.7, 9.1], [7.5, 7.4, 7.8, 7.6]),
        ([6.61, 6.7], [6.5, 6.9, 6.4, 6.6, 6.45, 6.8]),
        ([10.0, 12.0, 11.0], [10.5, 11.5, 11.2]),
    ],
)
def test_welch_and_permutation_agree_with_scipy(first, second):
    result = compare_seeds(first, second)
    welch = stats.ttest_ind(first, second, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert result.p_welch == pytest.approx(welch.pvalue, rel=1e-9)
    assert result.interval95 == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert result.means == pytest.approx((np.mean(first), np.mean(second)))
    assert result.stds == pytest.approx((np.std(first, ddof=1), np.std(second, ddof=1)))
    assert result.p_permutation == pytest.approx(slow_permutation(first, second))


def slow_permutation(first, second):
    """Every way to divide the runs, as extreme as ours or more on its side, doubled."""
    from itertools import combinations

    pooled, observed = [*first, *second], np.mean(first) - np.mean(second)
    gaps = []
    for chosen in combinations(range(len(pooled)), len(first)):
        rest = [pooled[k] for k in range(len(pooled)) if k not in chosen]
        gaps.append(np.mean([pooled[k] for k in chosen]) - np.mean(rest))
    above = np.mean([gap >= observed - 1e-12 for gap in gaps])
    below = np.mean([gap <= observed + 1e-12 for gap in gaps])
    return min(1.0, 2 * min(above, below))


def test_one_seed_has_a_difference_and_no_test():
    result = compare_seeds([8.0], [7.0, 7.5])
    assert result.difference == pytest.approx(0.75)
    assert (result.interval95, result.p_welch, result.p_permutation, result.detectable) == (None,) * 4


def test_equal_runs_have_no_interval_to_speak_of():
    result = compare_seeds([8.0, 8.0], [8.0, 8.0])
    assert (result.difference, result.p_welch, result.p_permutation) == (0, None, 1)


def test_a_side_without_runs_is_refused():
    with pytest.raises(ValueError, match="at least one run"):
        compare_seeds([], [1.0])


def test_seeds_that_differ_by_rounding_alone_do_not_vary():
    found = compare_seeds([0.1 + 0.2, 0.3, 0.3], [0.3, 0.3, 0.3])
    assert (found.p_welch, found.interval95, found.detectable) == (None, None, None)
