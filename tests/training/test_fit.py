import math

import pytest
import torch
from torch import nn

from rescli.errors import DivergedError
from rescli.hardware.numerics import Numerics
from rescli.optim.schedules import MultiStep, Warmup
from rescli.optim.sgd import sgd
from rescli.plan import TrainPlan
from rescli.training.engines.eager import EagerEngine
from rescli.training.events import (
    CheckpointDue,
    EvalDone,
    EvalResult,
    FitDone,
    MetricsReady,
    StepDone,
    Stopped,
)
from rescli.training.fit import fit
from rescli.training.state import TrainState

BATCH_SIZE = 8


def plan_of(total_steps, *, metrics=5, evaluations=10, saves=10, num_val=100, schedule=None):
    return TrainPlan(
        total_steps=total_steps,
        batch_size=BATCH_SIZE,
        num_train=80,
        num_val=num_val,
        base_lr=0.1,
        schedule=schedule or MultiStep((), 0.1),
        metrics_every=metrics,
        eval_every=evaluations,
        checkpoint_every=saves,
    )


def images_and_labels(step):
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(BATCH_SIZE, 3, 4, 4, generator=generator)
    return images, (images.mean((1, 2, 3)) > 0).long()


def fresh(plan, batch=images_and_labels):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    optimizer = sgd(model, lr=0.1, momentum=0.9, nesterov=False, weight_decay=1e-4)
    state = TrainState(model, optimizer, ring=torch.zeros(plan.metrics_every, 2))
    return state, EagerEngine(state, batch, Numerics(torch.device("cpu"), "fp32"))


def errors_falling_then_rising(*errors):
    remaining = iter(errors)
    return lambda _model: EvalResult(num_images=100, top1_error=next(remaining), top5_error=0.0, loss=1.0)


def run(plan, **options):
    state, engine = fresh(plan)
    options.setdefault("evaluate", errors_falling_then_rising(*[50.0] * 100))
    return state, list(fit(state, engine, plan, **options))


def test_events_come_in_the_order_metrics_evaluation_checkpoint_and_once_at_the_end():
    _, events = run(plan_of(12, metrics=5, evaluations=10, saves=6))
    told = [(type(event).__name__, event.step) for event in events if not isinstance(event, StepDone)]
    assert told == [
        ("MetricsReady", 5),
        ("CheckpointDue", 6),
        ("MetricsReady", 10),
        ("EvalDone", 10),
        ("MetricsReady", 12),
        ("EvalDone", 12),
        ("CheckpointDue", 12),
        ("FitDone", 12),
    ]
    assert [event.step for event in events if isinstance(event, StepDone)] == list(range(1, 13))


def test_window_figures_equal_a_plain_loop():
    plan = plan_of(12, metrics=5, saves=7)  # a save in mid-window must not cut the window
    _, events = run(plan)
    state, _ = fresh(plan)
    model, losses, wrong = state.model, [], []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for step in range(12):
        images, labels = images_and_labels(step)
        logits = model(images)
        loss = nn.functional.cross_entropy(logits, labels)
        losses.append(loss.item())
        wrong.append((logits.argmax(1) != labels).sum().item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    metrics = [event for event in events if isinstance(event, MetricsReady)]
    for event, window in zip(metrics, [slice(0, 5), slice(5, 10), slice(10, 12)], strict=True):
        count = len(losses[window])
        assert event.loss == pytest.approx(sum(losses[window]) / count, rel=1e-5)
        assert event.top1_error == pytest.approx(100 * sum(wrong[window]) / (count * BATCH_SIZE))
        assert event.num_images == count * BATCH_SIZE
    assert metrics[-1].epoch == pytest.approx(12 * 8 / 80)


def test_each_window_knows_how_long_its_own_steps_waited():
    clock = iter([3.0, 3.5, 7.5, 7.5])  # 3 before the loop began
    _, events = run(plan_of(12, metrics=5), waited_seconds=lambda: next(clock))
    windows = [event.waited_seconds for event in events if isinstance(event, MetricsReady)]
    assert windows == [0.5, 4.0, 0.0]
    _, events = run(plan_of(12, metrics=5))
    assert {event.waited_seconds for event in events if isinstance(event, MetricsReady)} == {None}


def test_best_is_the_first_of_the_lowest_validation_errors():
    state, events = run(plan_of(50), evaluate=errors_falling_then_rising(60.0, 40.0, 45.0, 40.0, 50.0))
    assert [event.best for event in events if isinstance(event, EvalDone)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert (state.best_val_error, state.best_step) == (40.0, 20)


def test_without_validation_images_nothing_is_evaluated():
    _, events = run(plan_of(20, num_val=0), evaluate=None)
    assert not [event for event in events if isinstance(event, EvalDone)]


def test_asked_to_stop_it_saves_first():
    asked = iter([False] * 7 + [True])
    state, events = run(plan_of(50), should_stop=lambda: next(asked))
    assert events[-2:] == [CheckpointDue(7), Stopped(7)]
    assert state.step == 7


def test_asked_to_stop_before_an_evaluation_it_leaves_that_for_later():
    asked = iter([False] * 10 + [True])
    state, events = run(plan_of(50), evaluate=None, should_stop=lambda: next(asked))
    assert events[-2:] == [CheckpointDue(10), Stopped(10)]
    assert state.step == 10
    assert state.evaluation_due


@pytest.mark.parametrize("step", [10, 20])
def test_an_evaluation_that_was_left_is_repeated_before_the_next_iteration(step):
    plan, errors = plan_of(20, saves=5), {10: 40.0, 20: 30.0}
    state, engine = fresh(plan)
    left = []

    def evaluate(_model):
        if state.step == step and not left:
            left.append(step)
            return None
        return EvalResult(num_images=100, top1_error=errors[state.step], top5_error=0.0, loss=1.0)

    stopped = list(fit(state, engine, plan, evaluate=evaluate, should_stop=lambda: bool(left)))
    assert stopped[-2:] == [CheckpointDue(step), Stopped(step)]
    assert [event.step for event in stopped if isinstance(event, EvalDone)] == list(range(10, step, 10))
    resumed = list(fit(state, engine, plan, evaluate=evaluate))
    assert (type(resumed[0]), resumed[0].step) == (EvalDone, step)
    assert resumed[1] == CheckpointDue(step)
    assert resumed[-1] == FitDone(20)
    assert (state.best_val_error, state.best_step) == (30.0, 20)
    assert not state.evaluation_due


def test_an_evaluation_that_was_left_is_no_time_of_training(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("rescli.training.fit.time.perf_counter", lambda: now[0])
    left = []

    def evaluate(_model):
        now[0] += 1000.0
        left.append(True)

    state, _ = run(plan_of(50), evaluate=evaluate, should_stop=lambda: bool(left))
    assert state.step == 10
    assert state.train_seconds == 0.0


def test_the_learning_rate_of_every_step_is_the_schedules():
    _, events = run(plan_of(6, schedule=MultiStep((2, 4), 0.1)))
    lrs = [event.lr for event in events if isinstance(event, StepDone)]
    assert lrs == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_warm_up_ends_when_a_window_falls_below_its_bound():
    state, events = run(plan_of(40, schedule=MultiStep((), 0.1, Warmup(0.1, until_train_error=30.0))))
    metrics = [event for event in events if isinstance(event, MetricsReady)]
    first = next(event.step for event in metrics if event.top1_error < 30.0)
    assert state.trigger == {"warmup_ended": first}
    assert 5 < first < 40, "the toy problem no longer shows the rule at work"
    for event in (event for event in events if isinstance(event, StepDone)):
        assert event.lr == pytest.approx(0.01 if event.step <= first else 0.1)


@pytest.mark.parametrize("bad_step", [0, 6, 11])
def test_a_loss_that_is_not_finite_names_its_iteration_and_saves_nothing_after(bad_step):
    plan = plan_of(30, metrics=5, evaluations=8, saves=9)

    def batch(step):
        images, labels = images_and_labels(step)
        return (images * math.nan if step == bad_step else images), labels

    state, engine = fresh(plan, batch)
    events = []
    with pytest.raises(DivergedError, match=rf"nan at iteration {bad_step + 1} \(lr 0.1\)") as caught:
        events.extend(fit(state, engine, plan, evaluate=errors_falling_then_rising(*[50.0] * 9)))
    assert all(event.step <= bad_step for event in events if isinstance(event, CheckpointDue | EvalDone))
    assert caught.value.exit_code == 5
    assert caught.value.remedies


def test_weights_that_are_not_finite_are_never_saved():
    plan = plan_of(10, saves=5)
    state, engine = fresh(plan)

    class Breaking:
        name = "breaking"

        def advance(self, lr):
            engine.advance(lr)
            if state.step == 5:  # after the loss of step 5 was computed, so no loss shows it
                with torch.no_grad():
                    state.model[1].bias.fill_(math.inf)

    events = []
    with pytest.raises(DivergedError, match="inf at iteration 5"):
        events.extend(fit(state, Breaking(), plan, evaluate=errors_falling_then_rising(50.0)))
    assert not [event for event in events if isinstance(event, CheckpointDue)]


def test_a_learning_rate_far_too_high_is_named_as_the_cause():
    plan = TrainPlan(**{**vars(plan_of(5)), "base_lr": 3.0})
    state, engine = fresh(
        plan, lambda step: (images_and_labels(step)[0] * math.inf, images_and_labels(step)[1])
    )
    with pytest.raises(DivergedError) as caught:
        list(fit(state, engine, plan, evaluate=errors_falling_then_rising(50.0)))
    assert "learning rate 3" in caught.value.hint


def test_a_finished_state_is_left_alone():
    plan = plan_of(5)
    state, engine = fresh(plan)
    list(fit(state, engine, plan, evaluate=errors_falling_then_rising(50.0)))
    weights = [parameter.clone() for parameter in state.model.parameters()]
    assert list(fit(state, engine, plan, evaluate=errors_falling_then_rising(50.0))) == [FitDone(5)]
    assert all(torch.equal(a, b) for a, b in zip(weights, state.model.parameters(), strict=True))


def test_a_validation_loss_that_is_not_finite_stops_the_run():
    plan = plan_of(20)
    state, engine = fresh(plan)
    with pytest.raises(DivergedError, match="nan at iteration 10"):
        list(fit(state, engine, plan, evaluate=lambda _: EvalResult(100, 50.0, 0.0, math.nan)))
    assert state.best_val_error is None


@pytest.mark.parametrize("where", ["momentum", "buffer"])
def test_whatever_a_state_holds_must_be_finite_to_be_saved(where):
    plan = plan_of(10, saves=5)
    state, engine = fresh(plan)
    state.model.append(nn.BatchNorm1d(2))
    events = []

    class Breaking:
        name = "breaking"

        def advance(self, lr):
            engine.advance(lr)
            if state.step == 5 and where == "momentum":
                next(iter(state.optimizer.state.values()))["momentum_buffer"].fill_(math.inf)
            elif state.step == 5:
                state.model[2].running_var.fill_(math.inf)

    with pytest.raises(DivergedError, match="inf at iteration 5"):
        events.extend(fit(state, Breaking(), plan, evaluate=errors_falling_then_rising(50.0)))
    assert not [event for event in events if isinstance(event, CheckpointDue)]
