"""How long a schedule may be to fit a given time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rescli.durations import format_seconds
from rescli.errors import UsageError
from rescli.plan import make_plan
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.runs.budget.trial import RunCost
from rescli.spec.run import EvaluationSpec, RunSpec

__all__ = ["BudgetFit", "fit_budget", "is_off_plan"]

SAFETY = 0.93
"""Share of the budget that is planned: files, pictures and a noisy machine take the rest."""

EVAL_SHARE = 0.1
"""Evaluations may take this share of the time of the steps; beyond it they are spaced out."""

HOPELESS_EPOCHS, HOPELESS_ITERATIONS = 1.0, 100
"""Below both, nothing is learned: on the shapes, 100 iterations (0.3 epochs) leave every net at chance."""

TOLERANCE = 1.25
"""What would take so many times its budget, or could train so many times as long, is planned anew."""

SHORT_EPOCHS, SHORT_ITERATIONS = 3.0, 200
"""Below either, deep nets may still be at chance."""


@dataclass(frozen=True)
class BudgetFit:
    """By how much schedules are shortened, all alike.

    Args:
        ratio: of the iterations; 1 where nothing is shortened.
        evaluations: of each run; None where they stay as they are.
        iterations, epochs: of the shortest run.
        seconds: what all runs take, as far as a trial says.
        enough_seconds: the least budget in which nets are likely to learn.
    """

    ratio: float
    evaluations: int | None
    iterations: int
    epochs: float
    seconds: float
    enough_seconds: float

    def apply(self, spec: RunSpec) -> RunSpec:
        """The spec with its schedule shortened and its evaluations spaced out."""
        scaled = spec
        if self.ratio < 1:
            scaled = spec.scaled(max(1, int(self.ratio * spec.iterations)))
        if self.evaluations is None:
            return scaled
        every = max(scaled.evaluation.every, -(-scaled.iterations // self.evaluations))
        return scaled.model_copy(update={"evaluation": EvaluationSpec(every=every)})

    @property
    def warning(self) -> str | None:
        """What to say before a training that is likely to teach little; None where it is long enough."""
        if self.ratio == 1 or (self.epochs >= SHORT_EPOCHS and self.iterations >= SHORT_ITERATIONS):
            return None
        return (
            f"the budget is short: {counted(self.iterations, 'iteration')} "
            f"{'passes' if self.iterations == 1 else 'pass'} over the training images {self.epochs:.2g} "
            f"times, and deep nets may stay at chance; a budget of {_typed(self.enough_seconds)} would do."
        )

    def require_hope(self, budget_seconds: float) -> None:
        """Refuse a budget in which nothing can be learned.

        Raises:
            UsageError: fewer than 100 iterations, and less than one pass over the training images.
        """
        if self.ratio < 1 and self.epochs < HOPELESS_EPOCHS and self.iterations < HOPELESS_ITERATIONS:
            raise UsageError(
                f"a budget of {format_seconds(budget_seconds)} is too short to learn anything: it leaves "
                f"{counted(self.iterations, 'iteration')}, {self.epochs:.2g} passes over the training "
                "images.",
                remedy=Remedy("budget", _typed(self.enough_seconds), "would do"),
                page="budget-too-short",
            )


def fit_budget(
    costs: Sequence[tuple[RunSpec, RunCost]], budget_seconds: float, *, spent_seconds: float = 0.0
) -> BudgetFit:
    """The ratio that all schedules must be shortened by for all runs to fit; 1 where they fit as they are.

    Args:
        costs: each run with its cost.
        budget_seconds: for all of them together.
        spent_seconds: of the budget, those that are gone already.

    Raises:
        UsageError: not even one iteration of each fits.
    """
    planned = SAFETY * (budget_seconds - spent_seconds)
    whole = [make_plan(spec).num_evaluations for spec, _ in costs]
    full = _seconds(costs, 1.0, whole)
    if full <= planned:
        iterations, epochs = _shortest(costs, 1.0)
        return BudgetFit(1.0, None, iterations, epochs, full, full / SAFETY)
    fewest = _seconds(costs, 1.0, _thinned(costs, 1.0, whole))
    ratio = 1.0 if fewest <= planned else _bisect(costs, planned, whole)
    iterations, epochs = _shortest(costs, ratio)
    if iterations < 1:
        slowest = max(cost.step for _, cost in costs)
        longest = max(cost.evaluation for _, cost in costs)
        raise UsageError(
            f"a budget of {format_seconds(budget_seconds)} is too short: an iteration takes {slowest:.2f} s "
            f"and an evaluation {longest:.2f} s.",
            remedy=Remedy("budget", _typed(spent_seconds + _enough(costs, whole)), "would do"),
            page="budget-too-short",
        )
    thinned = _thinned(costs, ratio, whole)
    return BudgetFit(
        ratio=ratio,
        evaluations=max(thinned) if thinned != whole else None,
        iterations=iterations,
        epochs=epochs,
        seconds=_seconds(costs, ratio, thinned),
        enough_seconds=spent_seconds + _enough(costs, whole),
    )


def is_off_plan(
    fit: BudgetFit,
    costs: Sequence[tuple[RunSpec, RunCost]],
    factor: float,
    budget_seconds: float,
    *,
    elapsed_seconds: float,
) -> bool:
    """Whether the speed that a run shows asks for another ratio.

    Args:
        fit: what was planned.
        costs: each run with its cost, as the trial said.
        factor: how many times as long an iteration takes in truth.
        budget_seconds: for all of them together.
        elapsed_seconds: of the budget, those that are gone.
    """
    if factor > 1:
        return elapsed_seconds + fit.seconds * factor > TOLERANCE * budget_seconds
    if fit.ratio == 1 or elapsed_seconds >= budget_seconds / 2:
        return False
    faster = [(spec, cost.times(factor)) for spec, cost in costs]
    possible = fit_budget(faster, budget_seconds, spent_seconds=elapsed_seconds).ratio
    return possible > TOLERANCE * fit.ratio


def _bisect(costs: Sequence[tuple[RunSpec, RunCost]], planned: float, whole: Sequence[int]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        ratio = (low + high) / 2
        fits = _seconds(costs, ratio, _thinned(costs, ratio, whole)) <= planned
        low, high = (ratio, high) if fits else (low, ratio)
    return low


def _seconds(costs: Sequence[tuple[RunSpec, RunCost]], ratio: float, evaluations: Sequence[int]) -> float:
    return sum(
        cost.start + cost.testing + ratio * spec.iterations * cost.step + count * cost.evaluation
        for (spec, cost), count in zip(costs, evaluations, strict=True)
    )


def _thinned(costs: Sequence[tuple[RunSpec, RunCost]], ratio: float, whole: Sequence[int]) -> list[int]:
    """Evaluations of each run, as many of one as of another: their curves must share their points."""
    stepping = sum(ratio * spec.iterations * cost.step for spec, cost in costs)
    evaluating = sum(cost.evaluation for _, cost in costs)
    most = max(1, int(EVAL_SHARE * stepping / evaluating)) if evaluating > 0 else max(whole)
    return [min(most, count) for count in whole]


def _shortest(costs: Sequence[tuple[RunSpec, RunCost]], ratio: float) -> tuple[int, float]:
    """Iterations and epochs of the run that has the fewest epochs."""
    rows = []
    for spec, _ in costs:
        iterations = int(ratio * spec.iterations)
        rows.append((make_plan(spec).epoch(iterations), iterations))
    epochs, iterations = min(rows)
    return iterations, epochs


def _enough(costs: Sequence[tuple[RunSpec, RunCost]], whole: Sequence[int]) -> float:
    """The budget in which each run reaches ``SHORT_EPOCHS`` and ``SHORT_ITERATIONS``, or its whole length."""
    ratio = 0.0
    for spec, _ in costs:
        plan = make_plan(spec)
        wanted = 1 + math.ceil(max(SHORT_ITERATIONS, SHORT_EPOCHS * plan.num_train / plan.batch_size))
        ratio = max(ratio, min(1.0, wanted / spec.iterations))
    return _seconds(costs, ratio, _thinned(costs, ratio, whole)) / SAFETY


def _typed(seconds: float) -> str:
    """A duration as it is given, rounded up to what a person would choose: ``40s``, ``12m``, ``1h30m``."""
    if seconds <= 110:
        return f"{10 * math.ceil(max(seconds, 1) / 10)}s"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes}m"
    minutes = 10 * math.ceil(minutes / 10)
    return f"{minutes // 60}h" + (f"{minutes % 60}m" if minutes % 60 else "")
