"""What a run costs: seconds of its start, its steps and its evaluations, timed as they will run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import torch

from rescli.hardware.threads.waiting import watching
from rescli.plan import make_plan
from rescli.runs.assembly import Assembly
from rescli.training.events import Event, MetricsReady

__all__ = ["RunCost", "SpeedWatch", "measure_cost"]

WARMUP_STEPS = 3
LEAST_TIMED, FEWEST_TIMED, MOST_TIMED = 3, 10, 200
TRIAL_SECONDS = 2.0
TRIAL_SHARE = 0.02
"""A trial lasts ``TRIAL_SECONDS``, or this share of the budget where that is less; twice as long where the
steps differ much."""

NOISY = 0.3
"""Interquartile range of the steps' seconds, by their median, from which on a trial is doubled."""

STEPS_PER_READING = {"cuda": 8}
"""Between two looks at the clock; one where every step is done when the call returns."""


@dataclass(frozen=True)
class RunCost:
    """What one run costs, in seconds.

    Args:
        start: reading images, building the net, choosing kernels, first steps.
        step: one iteration, the median of a trial.
        evaluation: one pass over the validation images; 0 without any.
        testing: what is evaluated when the run is finished.
    """

    start: float
    step: float
    evaluation: float = 0.0
    testing: float = 0.0

    def times(self, factor: float) -> RunCost:
        """The cost where everything takes ``factor`` times as long."""
        return RunCost(*(factor * seconds for seconds in astuple(self)))


def measure_cost(
    assembly: Assembly, *, began: float, budget_seconds: float, tested_images: int = 0
) -> RunCost:
    """What a run costs, by a trial on its own engine, kernels and threads. The net it trains is thrown away.

    Args:
        began: reading of ``time.perf_counter`` when the assembly was begun.
        budget_seconds: of all runs; a trial takes only a small share of it.
        tested_images: how many are evaluated when the run is finished.
    """
    plan = make_plan(assembly.spec)
    state = assembly.new_state()
    engine = assembly.choose_engine(state).engine
    per_reading = STEPS_PER_READING.get(assembly.numerics.device.type, 1)

    def advance(count: int) -> None:
        for _ in range(count):
            state.window_start = state.step  # rows of the ring are reused: nobody reads them here
            engine.advance(plan.lr(state.step, state.trigger))
        if assembly.numerics.device.type == "cuda":
            torch.cuda.synchronize(assembly.numerics.device)

    with watching(assembly.numerics.device):
        advance(WARMUP_STEPS)
        start_seconds = time.perf_counter() - began
        seconds: list[float] = []
        limit = min(TRIAL_SECONDS, TRIAL_SHARE * budget_seconds)
        while not _enough(seconds, limit / per_reading):
            before = time.perf_counter()
            advance(per_reading)
            seconds.append((time.perf_counter() - before) / per_reading)
        step = statistics.median(seconds)
        evaluation, per_image = 0.0, step / plan.batch_size / 3
        if assembly.val_set is not None:
            before = time.perf_counter()
            assembly.evaluate_val(state.model, forward=engine.forward)
            evaluation = time.perf_counter() - before
            per_image = evaluation / len(assembly.val_set)
    return RunCost(start_seconds, step, evaluation, tested_images * per_image)


def _enough(seconds: Sequence[float], limit: float) -> bool:
    """Whether a trial may end: by its time, which slow steps may exceed by half, and noisy ones twice."""
    count, total = len(seconds), sum(seconds)
    if count < FEWEST_TIMED:
        return count >= LEAST_TIMED and total > 1.5 * limit
    return count >= MOST_TIMED or total > limit * (2 if _spread(seconds) > NOISY else 1)


def _spread(seconds: Sequence[float]) -> float:
    """Interquartile range by the median."""
    low, middle, high = statistics.quantiles(seconds, n=4)
    return (high - low) / middle if middle > 0 else 0.0


class SpeedWatch:
    """A sink that looks at the speed of a run once, when about a twentieth of it is done.

    A trial before the training may meet a machine that is busy for a moment; what counts is the run itself.
    """

    SHARE = 0.05

    def __init__(self, total_steps: int) -> None:
        self._least_steps = max(FEWEST_TIMED, self.SHARE * total_steps)
        self._first: MetricsReady | None = None
        self.step_seconds: float | None = None
        """Seconds of an iteration; None until enough was seen."""

    def __call__(self, event: Event) -> None:
        if self.step_seconds is not None or not isinstance(event, MetricsReady):
            return
        if self._first is None:  # the first window holds what happens only once
            self._first = event
        elif event.step - self._first.step >= self._least_steps:
            self.step_seconds = (event.train_seconds - self._first.train_seconds) / (
                event.step - self._first.step
            )
