"""The moments at which a training may be killed."""

from __future__ import annotations

from rescli.workflows.trust.timeline import Moment, Training


def test_each_interval_may_be_killed_in_the_last_too() -> None:
    training = Training(marks=((6, 0.0), (9, 1.0), (12, 3.0)), seconds=8.0, ended=4.5)
    assert training.moments(6) == [(Moment(None, 0.0), 1.0), (Moment(9, 0.0), 2.0), (Moment(12, 0.0), 1.5)]
    assert training.iteration_at(Moment(12, 1.0), 6) == 12


def test_one_without_a_saved_state_has_one() -> None:
    training = Training(marks=((0, 0.0),), seconds=5.0, ended=2.0)
    assert training.moments(0) == [(Moment(None, 0.0), 2.0)]
