"""What fits into a budget, by costs that are given: no clock decides these tests."""

import pytest

from rescli.errors import UsageError
from rescli.runs.budget.fit import SAFETY, fit_budget, is_off_plan
from rescli.runs.budget.trial import RunCost, SpeedWatch, _enough, _spread
from rescli.spec.load import load_spec
from rescli.training.events import MetricsReady, StepDone

PLAIN, DEEP = load_spec("shapes/plain-20"), load_spec("shapes/resnet-56")


def seconds_of(spec, cost, fit):
    scaled = fit.apply(spec)
    evaluations = -(-scaled.iterations // scaled.evaluation.every)
    steps = scaled.iterations * cost.step
    return cost.start + cost.testing + steps + evaluations * cost.evaluation, evaluations * cost.evaluation


def test_what_fits_stays_as_it_is():
    fit = fit_budget([(PLAIN, RunCost(start=1, step=0.01, evaluation=0.1))], 1000)
    assert (fit.ratio, fit.warning) == (1, None)
    assert fit.apply(PLAIN) == PLAIN


def test_all_schedules_shrink_by_one_ratio_and_start_tests_and_evaluations_are_counted():
    costs = [(PLAIN, RunCost(3, 0.02, 0.5, 6)), (DEEP, RunCost(5, 0.06, 1.2, 15))]
    fit = fit_budget(costs, 240)
    scaled = [fit.apply(spec) for spec, _ in costs]
    assert scaled[0].iterations == scaled[1].iterations == int(fit.ratio * 4000)
    assert scaled[0].evaluation == scaled[1].evaluation  # their curves share their points
    takes = sum(seconds_of(spec, cost, fit)[0] for spec, cost in costs)
    assert 0.97 * SAFETY * 240 < takes <= SAFETY * 240
    assert fit.seconds == pytest.approx(takes, rel=0.01)


def test_evaluations_take_a_tenth_of_the_steps_at_most():
    cost = RunCost(1, 0.02, 2.0, 0)
    fit = fit_budget([(PLAIN, cost)], 40)
    scaled = fit.apply(PLAIN)
    _, evaluating = seconds_of(PLAIN, cost, fit)
    assert evaluating <= 0.1 * scaled.iterations * cost.step + cost.evaluation
    # The schedule alone would ask for 20 of them.
    assert scaled.iterations / scaled.evaluation.every <= 2


def test_a_whole_schedule_with_fewer_evaluations_is_not_called_scaled():
    cost = RunCost(0, 0.01, 10.0)
    fit = fit_budget([(PLAIN, cost)], 100)
    assert fit.ratio == 1
    scaled = fit.apply(PLAIN)
    assert (scaled.iterations, scaled.scaled_from) == (4000, None)
    assert scaled.evaluation.every > PLAIN.evaluation.every


def test_a_budget_that_leaves_37_iterations_is_refused_with_one_that_would_do():
    """The README's tour on a machine that was busy for a moment: 0.12 epochs, and every net at chance."""
    cost = RunCost(2, 1.0, 2.0, 5)
    fit = fit_budget([(PLAIN, cost)], 55)
    assert fit.iterations < 100
    with pytest.raises(UsageError, match="too short to learn anything") as refused:
        fit.require_hope(55)
    (remedy,) = refused.value.remedies
    assert remedy.setting == "budget"
    enough = fit_budget([(PLAIN, cost)], fit.enough_seconds)
    assert enough.warning is None
    assert enough.epochs >= 3


def test_a_short_budget_is_said_before_it_begins():
    """507 iterations, 1.6 epochs: plain-20 has begun to learn by then, resnet-56 has not."""
    fit = fit_budget([(DEEP, RunCost(0, 0.1))], 507 * 0.1 / SAFETY + 0.01)
    assert fit.iterations == 507
    fit.require_hope(1)
    assert fit.warning.startswith("the budget is short: 507 iterations pass over the training images 1.6")
    assert "a budget of 110s would do" in fit.warning


def test_few_images_are_passed_over_often_enough():
    few = {"kind": "shapes", "num_train": 200}
    tiny = load_spec("shapes/base", [("data.dataset", few), ("data.batch_size", 16)])
    fit = fit_budget([(tiny, RunCost(0, 0.1))], 6)
    assert fit.iterations < 100
    fit.require_hope(6)


def test_not_even_one_iteration():
    with pytest.raises(UsageError, match=r"an iteration takes 3\.00 s"):
        fit_budget([(PLAIN, RunCost(5, 3.0, 1.0))], 6)


def test_a_trial_of_slow_steps_ends_before_it_eats_the_budget():
    assert not _enough([6.0, 6.0], limit=2.0)
    assert _enough([6.0, 6.0, 6.0], limit=2.0)
    assert not _enough([0.02] * 12, limit=2.0)
    assert _enough([0.2] * 11, limit=2.0)
    assert not _enough([0.1, 0.4] * 5, limit=2.0)  # steps that differ so much are looked at twice as long
    assert _enough([0.001] * 200, limit=2.0)


def test_what_is_spent_already_is_told_as_part_of_what_was_given():
    with pytest.raises(UsageError, match=r"a budget of 1 min 40 s is too short"):
        fit_budget([(PLAIN, RunCost(5, 0.02))], 100, spent_seconds=110)
    fresh, later = (fit_budget([(PLAIN, RunCost(5, 0.1))], 100, spent_seconds=spent) for spent in (0, 20))
    assert later.enough_seconds == fresh.enough_seconds + 20


def test_one_stall_does_not_move_the_cost_of_a_step():
    assert _spread([0.02] * 9 + [5.0]) == 0
    assert _spread([0.02, 0.02, 0.03, 0.05, 0.06, 0.02, 0.09, 0.01, 0.04, 0.03]) > 0.3


def metrics(step, seconds):
    return MetricsReady(step, 0.0, 0.1, 1.0, 90.0, 10, 1.0, train_seconds=seconds)


def test_the_speed_is_read_off_the_run_itself_once_and_not_off_its_first_window():
    watch = SpeedWatch(1000)
    watch(StepDone(20, 0.1))
    watch(metrics(20, 60.0))  # kernels were compiled, memory was taken
    watch(metrics(60, 61.0))
    assert watch.step_seconds is None  # less than a twentieth
    watch(metrics(80, 61.5))
    assert watch.step_seconds == pytest.approx(1.5 / 60)
    watch(metrics(100, 99.0))
    assert watch.step_seconds == pytest.approx(1.5 / 60)


@pytest.mark.parametrize(
    ("factor", "elapsed", "off"),
    [
        (1.0, 10, False),
        (1.2, 10, False),  # a fifth slower is within what was kept back
        (1.5, 10, True),
        (0.9, 10, False),
        (0.5, 10, True),  # twice the iterations would fit
        (0.5, 60, False),  # too late to begin again
    ],
)
def test_a_run_is_planned_anew_where_it_would_take_or_could_take_a_quarter_more(factor, elapsed, off):
    costs = [(PLAIN, RunCost(start=1, step=0.05, evaluation=0.1))]
    fit = fit_budget(costs, 100)
    assert fit.ratio < 1
    assert is_off_plan(fit, costs, factor, 100, elapsed_seconds=elapsed) is off
