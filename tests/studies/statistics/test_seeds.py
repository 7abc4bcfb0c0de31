import numpy as np
import pytest

from rescli.studies.curves import RunCurves, mean_curve, thinned
from rescli.studies.statistics.seeds import mean_std_text, over_seeds


def test_mean_and_spread_of_the_seeds_that_are_there():
    found = over_seeds([8.0, None, 9.0, 10.5])
    assert found == {
        "mean": pytest.approx(np.mean([8, 9, 10.5])),
        "std": pytest.approx(np.std([8, 9, 10.5], ddof=1)),
        "n": 3,
    }
    assert over_seeds([7.0]) == {"mean": 7.0, "std": None, "n": 1}
    assert over_seeds([None]) is None


def test_the_text_counts_seeds_where_there_is_more_than_one_or_where_asked():
    one, three = {"mean": 8.754, "std": None, "n": 1}, {"mean": 8.754, "std": 0.126, "n": 3}
    assert [mean_std_text(figure) for figure in (None, one, three)] == ["", "8.75", "8.75 ± 0.13 (3)"]
    assert mean_std_text(one, always_count=True) == "8.75 (1)"


def test_curves_of_a_log_and_their_mean_over_seeds():
    rows = [
        {"event": "train", "iteration": 5, "top1_error": 80.0},
        {"event": "val", "iteration": 5, "top1_error": 82.0},
        {"event": "other"},
    ]
    assert RunCurves.of_rows(rows) == RunCurves(train=((5, 80.0),), val=((5, 82.0),))
    assert mean_curve([[(5, 80.0), (10, 60.0)], [(5, 70.0)]]) == [(5, 75.0)]
    assert mean_curve([]) == []


def test_thinned_keeps_the_last_iteration_and_the_mean():
    points = [(step, float(step)) for step in range(1, 11)]
    found = thinned(points, 4)
    assert [step for step, _ in found] == [3, 6, 9, 10]
    assert [error for _, error in found] == [2.0, 5.0, 8.0, 10.0]
    assert thinned(points, 10) == points
