"""The training loop. It computes and yields; whoever iterates prints, logs and saves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

import torch
from torch import nn

from rescli.errors import DataError, DivergedError, Interrupted, LostWorkersError
from rescli.optim.schedules import MultiStep, Observation
from rescli.plan import TrainPlan
from rescli.remedy import Remedy
from rescli.training.events import (
    CheckpointDue,
    EvalDone,
    EvalResult,
    Event,
    FitDone,
    MetricsReady,
    StepDone,
    Stopped,
)
from rescli.training.state import TrainState

__all__ = ["Engine", "fit"]


class Engine(Protocol):
    """Advances the state that it was made for."""

    name: str

    def advance(self, lr: float) -> None: ...

    def forward(self, images_NCHW: torch.Tensor, /) -> torch.Tensor:
        """Logits of the network as it is now, in evaluation mode and without gradients."""


def fit(
    state: TrainState,
    engine: Engine,
    plan: TrainPlan,
    *,
    evaluate: Callable[[nn.Module], EvalResult | None],
    should_stop: Callable[[], bool] = lambda: False,
    waited_seconds: Callable[[], float] | None = None,
) -> Iterator[Event]:
    """Train from ``state.step`` to the end of the plan.

    evaluate: figures of the validation part; None where it was left, since ``should_stop`` says yes.
    should_stop: asked before every iteration and every evaluation; when it says yes, the state is saved and
    ``Stopped`` ends the events. An evaluation not made by then is the first thing that a resumed run does.
    waited_seconds: those that steps waited for images so far, in this process.

    Raises:
        DivergedError: a loss or a parameter is no longer finite; nothing is saved from then on.
        DataError: the images of a step are damaged; the state before it is saved first.
        LostWorkersError: the images of a step cannot be had; the state before it is saved first.
    """
    clock = _Clock(state)
    waited = waited_seconds() if waited_seconds is not None else 0.0
    while state.step < plan.total_steps or state.evaluation_due:
        if should_stop():
            _check_finite(state, plan)
            clock.pause()
            yield CheckpointDue(state.step)
            yield Stopped(state.step)
            return
        if not state.evaluation_due:
            lr = plan.lr(state.step, state.trigger)
            try:
                engine.advance(lr)
            except Interrupted:  # while it waited for images
                yield from _saved_as_it_is(state, plan, clock)
                yield Stopped(state.step)
                return
            except (DataError, LostWorkersError):
                # An engine has its batch before it touches the state: what was trained so far is whole.
                yield from _saved_as_it_is(state, plan, clock)
                raise
            step = state.step
            yield StepDone(step, lr)
            if plan.reads_metrics(step):
                metrics = _read_window(state, plan, lr, clock)
                if waited_seconds is not None:
                    before, waited = waited, waited_seconds()
                    metrics = replace(metrics, waited_seconds=waited - before)
                observation = Observation(step, train_error=metrics.top1_error)
                state.trigger = plan.schedule.observe(state.trigger, observation)
                yield metrics
            state.evaluation_due = plan.evaluates(step)
        else:
            step = state.step
            _check_finite(state, plan)
            clock.pause()
            try:
                result = evaluate(state.model)
            except DataError:
                yield from _saved_as_it_is(state, plan, clock)
                raise
            clock.resume()
            if result is None:
                continue
            if not math.isfinite(result.loss):
                raise _diverged(step, result.loss, state, plan)
            best = state.best_val_error is None or result.top1_error < state.best_val_error
            if best:
                state.best_val_error, state.best_step = result.top1_error, step
            observation = Observation(step, val_error=result.top1_error)
            state.trigger = plan.schedule.observe(state.trigger, observation)
            state.evaluation_due = False
            yield EvalDone(step, plan.epoch(step), result, best)
        if plan.saves(step) and not state.evaluation_due:
            _check_finite(state, plan)
            clock.pause()
            yield CheckpointDue(step)
            clock.resume()
    yield FitDone(state.step)


def _saved_as_it_is(state: TrainState, plan: TrainPlan, clock: _Clock) -> Iterator[Event]:
    """As where it was asked to stop; the batch that could not be made has changed nothing."""
    if state.step > 0:
        _check_finite(state, plan)
        clock.pause()
        yield CheckpointDue(state.step)


class _Clock:
    """Adds to ``state.train_seconds`` what passes between resume and pause."""

    def __init__(self, state: TrainState) -> None:
        self._state = state
        self._since = time.perf_counter()

    def pause(self) -> None:
        now = time.perf_counter()
        self._state.train_seconds += now - self._since
        self._state.window_seconds += now - self._since
        self._since = now

    def resume(self) -> None:
        self._since = time.perf_counter()

    def end_window(self) -> float:
        """Seconds of training since the last window ended."""
        self.pause()
        seconds, self._state.window_seconds = self._state.window_seconds, 0.0
        return seconds


def _read_window(state: TrainState, plan: TrainPlan, lr: float, clock: _Clock) -> MetricsReady:
    rows = _losses_and_correct(state, plan)  # the one place of the loop that waits for the device
    seconds = clock.end_window()
    num_images = len(rows) * plan.batch_size
    correct = sum(int(count) for _, count in rows)
    state.window_start = state.step
    return MetricsReady(
        step=state.step,
        epoch=plan.epoch(state.step),
        lr=lr,
        loss=math.fsum(loss for loss, _ in rows) / len(rows),
        top1_error=100 * (1 - correct / num_images),
        num_images=num_images,
        images_per_second=num_images / seconds if seconds > 0 else 0.0,
        train_seconds=state.train_seconds,
    )


def _losses_and_correct(state: TrainState, plan: TrainPlan) -> list[list[float]]:
    rows: list[list[float]] = state.ring[: state.window_length].tolist()
    for offset, (loss, _) in enumerate(rows):
        if not math.isfinite(loss):
            raise _diverged(state.window_start + offset + 1, loss, state, plan)
    return rows


def _check_finite(state: TrainState, plan: TrainPlan) -> None:
    """Nothing that is not finite may be saved or evaluated: the losses, then all that a state holds."""
    _losses_and_correct(state, plan)
    tensors = [*state.model.parameters(), *state.model.buffers()]
    tensors += [value for values in state.optimizer.state.values() for value in values.values()]
    floats = [t for t in tensors if isinstance(t, torch.Tensor) and t.is_floating_point() and t.numel()]
    norms = torch._foreach_norm(floats, ord=float("inf"))
    largest = torch.stack(norms).max().item()
    if not math.isfinite(largest):
        raise _diverged(state.step, largest, state, plan)


def _diverged(step: int, value: float, state: TrainState, plan: TrainPlan) -> DivergedError:
    lr = plan.lr(step - 1, state.trigger)
    cause, remedies = _likely_cause(lr, step, plan)
    return DivergedError(
        f"training diverged: the loss or a weight is {value} at iteration {step} (lr {lr:g}).",
        hint=cause,
        remedy=remedies,
    )


def _likely_cause(lr: float, step: int, plan: TrainPlan) -> tuple[str | None, list[Remedy]]:
    if lr > 0.5:
        cause = f"the learning rate {lr:g} is far above the paper's 0.1"
        return cause, [Remedy("optimizer.lr", 0.1)]
    if step <= 1000:
        smaller = Remedy("optimizer.lr", _below(0.01, plan), "a smaller learning rate")
        # No other schedule has a warm-up.
        may_warm_up = isinstance(plan.schedule, MultiStep) and plan.schedule.warmup is None
        warm_up = [Remedy("schedule.warmup.factor", 0.1, "or warm up")] if may_warm_up else []
        return "it blew up early", [smaller, *warm_up]
    return None, [
        Remedy("precision", "fp32", "rules out rounding"),
        Remedy("optimizer.lr", _below(0.05, plan), "then a smaller learning rate"),
    ]


def _below(wanted: float, plan: TrainPlan) -> float:
    """A learning rate below the one that the run began with."""
    return wanted if wanted < plan.base_lr else float(f"{plan.base_lr / 10:.3g}")
