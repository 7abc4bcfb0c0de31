import numpy as np
import pytest
from scipy import stats

from rescli.studies.published import PublishedRow, published_table
from rescli.studies.statistics.agreement import agreement


def row(**figures):
    return PublishedRow(name="net", split="test", **figures)


def test_one_seed_is_held_against_its_wilson_interval():
    found = agreement(row(top1_error=8.75), [8.30], 10_000)
    low, high = found.interval95
    expected = stats.binomtest(830, 10_000).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((100 * expected.low, 100 * expected.high))
    assert found.verdict == "agrees"
    assert agreement(row(top1_error=8.75), [9.80], 10_000).verdict == "worse than published"
    assert agreement(row(top1_error=8.75), [7.00], 10_000).verdict == "better than published"


def test_published_means_are_held_by_welchs_test():
    table6 = published_table("table6").row("resnet-110", "A")
    rng = np.random.default_rng(0)
    for shift in np.linspace(-0.6, 0.6, 13):
        errors = list(6.61 + shift + 0.12 * rng.standard_normal(4))
        p = stats.ttest_ind_from_stats(
            np.mean(errors), np.std(errors, ddof=1), 4, 6.61, 0.16, 5, equal_var=False
        ).pvalue
        assert (agreement(table6, errors, 10_000).verdict == "agrees") == (p >= 0.05)


def test_one_published_run_is_held_against_one_more_of_ours():
    """The prediction interval covers a new draw as often as it says."""
    rng = np.random.default_rng(1)
    draws = 7 + 0.2 * rng.standard_normal((4000, 4))
    agree = [agreement(row(top1_error=d[3]), d[:3], 10_000).verdict == "agrees" for d in draws]
    assert np.mean(agree) == pytest.approx(0.95, abs=0.012)


def test_without_spread_only_the_same_value_agrees():
    assert agreement(row(top1_error=7.0), [7.0, 7.0], 10_000).verdict == "agrees"
    assert agreement(row(top1_error=7.1), [7.0, 7.0], 10_000).verdict == "better than published"


def test_no_published_number_no_verdict():
    assert agreement(row(top5_error=7.89), [8.0], 10_000) is None
