"""Schedules: every expected factor stands beside its step."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from pydantic import ValidationError

from rescli.optim.schedules import MultiStep, Observation, Plateau, Trigger, Warmup
from rescli.optim.specs import MultiStepSpec, WarmupSpec

PAPER = MultiStep((32000, 48000), 0.1)
DEEP = MultiStep((32000, 48000), 0.1, Warmup(0.1, until_train_error=80.0))


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (0, 1.0),
        (31999, 1.0),
        (32000, 0.1),  # the iteration that starts when 32000 are done
        (47999, 0.1),
        (48000, 0.01),
        (63999, 0.01),
    ],
)
def test_section_4_2(step: int, factor: float) -> None:
    assert PAPER.factor(step, {}) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("step", "trigger", "factor"),
    [
        (0, {}, 0.1),  # lr 0.01
        (399, {}, 0.1),
        (400, {"warmup_ended": 400}, 1.0),  # lr 0.1
        (32000, {"warmup_ended": 400}, 0.1),
        (48000, {"warmup_ended": 400}, 0.01),
        (32000, {}, 0.01),  # a net that never learns to 80 %: both apply
    ],
)
def test_section_4_2_from_110_layers(step: int, trigger: Trigger, factor: float) -> None:
    assert DEEP.factor(step, trigger) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("observation", "after"),
    [
        (Observation(350, train_error=89.9), {}),
        (Observation(350, train_error=80.0), {}),  # "below 80 %"
        (Observation(400, train_error=79.9), {"warmup_ended": 400}),
        (Observation(400, val_error=50.0), {}),  # the training error counts, no other
        (Observation(400), {}),
    ],
)
def test_warm_up_ends_below_80_percent(observation: Observation, after: Trigger) -> None:
    assert DEEP.observe({}, observation) == after


def test_warm_up_does_not_begin_again() -> None:
    trigger = DEEP.observe({}, Observation(400, train_error=79.0))
    for step, error in ((450, 95.0), (500, 70.0)):
        trigger = DEEP.observe(trigger, Observation(step, train_error=error))
    assert trigger == {"warmup_ended": 400}


def test_observe_leaves_the_trigger_it_was_given_alone() -> None:
    before = MappingProxyType({"of_another": 1})
    after = DEEP.observe(before, Observation(400, train_error=10.0))
    assert before == {"of_another": 1}
    assert after == {"of_another": 1, "warmup_ended": 400}
    assert DEEP.observe(before, Observation(400, train_error=10.0)) == after  # the same again


def test_without_warm_up_nothing_triggers() -> None:
    assert PAPER.observe({}, Observation(400, train_error=1.0)) == {}
    assert PAPER.describe_triggers() == []


def test_the_trigger_is_described() -> None:
    assert DEEP.describe_triggers() == [
        "until the training error falls below 80 %, the learning rate is 0.1 of these"
    ]


@pytest.mark.parametrize(
    ("total_steps", "steps"),
    [(64000, [0, 32000, 48000]), (48000, [0, 32000]), (48001, [0, 32000, 48000]), (1, [0]), (32000, [0])],
)
def test_changes_are_those_before_the_end(total_steps: int, steps: list[int]) -> None:
    assert [step for step, _ in PAPER.changes(total_steps)] == steps


@pytest.mark.parametrize("schedule", [PAPER, DEEP])
def test_changes_are_where_the_factor_changes(schedule: MultiStep) -> None:
    """Against every step of the course, once the warm-up is over."""
    ended = {"warmup_ended": 0}
    walked = [(0, schedule.factor(0, ended))]
    for step in range(1, 64000):
        if (factor := schedule.factor(step, ended)) != walked[-1][1]:
            walked.append((step, factor))
    assert schedule.changes(64000) == walked


def test_no_milestones() -> None:
    constant = MultiStep((), 0.1)
    assert constant.changes(100) == [(0, 1.0)]
    assert constant.factor(10**9, {}) == 1.0


# The spec


def test_spec_builds_the_schedule() -> None:
    assert MultiStepSpec(milestones=(32000, 48000), gamma=0.1, warmup=None).build() == PAPER
    assert MultiStepSpec(warmup=WarmupSpec(factor=0.1, until_train_error=80.0)).build() == DEEP


@pytest.mark.parametrize("milestones", [(20, 10), (10, 10), (0, 10), (-5,)])
def test_milestones_must_ascend(milestones: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="positive and ascending"):
        MultiStepSpec(milestones=milestones)


@pytest.mark.parametrize(
    ("ratio", "milestones"),
    [
        (1.0, (32000, 48000)),
        (0.5, (16000, 24000)),
        (0.001, (32, 48)),
        (2.0, (64000, 96000)),
        (1 / 64000, (1, 2)),  # 0.5 and 0.75: kept positive and apart
    ],
)
def test_scaled(ratio: float, milestones: tuple[int, ...]) -> None:
    spec = MultiStepSpec(warmup=WarmupSpec())
    assert spec.scaled(ratio).milestones == milestones
    assert spec.scaled(ratio).warmup == spec.warmup
    assert spec.milestones == (32000, 48000)


def test_plateau_drops_after_so_many_evaluations_without_a_lower_error() -> None:
    schedule = Plateau(patience=2, gamma=0.1)
    trigger: Trigger = {}
    factors = []
    for step, error in enumerate([50.0, 40.0, 41.0, 40.0, 39.0, 39.5, 39.0, 45.0, 45.0], start=1):
        trigger = schedule.observe(trigger, Observation(step, val_error=error))
        trigger = schedule.observe(trigger, Observation(step, train_error=1.0))  # says nothing
        factors.append(schedule.factor(step, trigger))
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001])
    assert trigger["lowest"] == 39.0


def test_plateau_without_a_validation_part_never_drops() -> None:
    schedule = Plateau(patience=1, gamma=0.1)
    assert schedule.observe({}, Observation(7, train_error=50.0)) == {}
    assert schedule.changes(600_000) == [(0, 1.0)]
