"""How many iterations fit into a given time, measured on the very step that will run."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from rescli.errors import UsageError
from rescli.plan import make_plan
from rescli.runs.assembly import Assembly
from rescli.spec.run import RunSpec

__all__ = ["SAFETY", "BudgetedSpec", "measure_costs", "scale_to_budget"]

WARMUP_STEPS = 3
TIMED_STEPS = 8
SAFETY = 0.93
"""Share of the budget that is planned: files, figures and a noisy machine take the rest."""
EVAL_SHARE = 0.2
"""Share of the budget that evaluations may take; beyond it they are spaced out."""


@dataclass(frozen=True)
class BudgetedSpec:
    """The spec that fits, and what was measured."""

    spec: RunSpec
    step_seconds: float
    eval_seconds: float


def scale_to_budget(assembly: Assembly, budget_seconds: float) -> BudgetedSpec:
    """Shorten the whole course in proportion until it fits; a course that fits already stays as it is.

    Raises:
        UsageError: not even one iteration fits.
    """
    spec = assembly.spec
    plan = make_plan(spec)
    step_seconds, eval_seconds = measure_costs(assembly)
    evaluations = plan.num_evaluations
    if evaluations and evaluations * eval_seconds > EVAL_SHARE * budget_seconds:
        evaluations = max(1, int(EVAL_SHARE * budget_seconds / eval_seconds))
    iterations = int((SAFETY * budget_seconds - evaluations * eval_seconds) / step_seconds)
    if iterations < 1:
        raise UsageError(
            f"a budget of {budget_seconds:g} s is too short: an iteration takes {step_seconds:.2f} s and an "
            f"evaluation {eval_seconds:.2f} s."
        )
    if iterations >= spec.iterations:
        return BudgetedSpec(spec, step_seconds, eval_seconds)
    scaled = spec.scaled(iterations)
    if evaluations:
        every = max(scaled.evaluation.every, -(-iterations // evaluations))
        scaled = scaled.model_copy(
            update={"evaluation": scaled.evaluation.model_copy(update={"every": every})}
        )
    return BudgetedSpec(scaled, step_seconds, eval_seconds)


def measure_costs(assembly: Assembly) -> tuple[float, float]:
    """Seconds of an iteration and of an evaluation, by a few of the one and one of the other (0 without a
    validation part). The net that they train is thrown away."""
    plan = make_plan(assembly.spec)
    state = assembly.new_state()
    engine = assembly.choose_engine(state).engine
    # Rows of the ring are reused: nobody reads them here.
    for count in range(WARMUP_STEPS + TIMED_STEPS):
        if count == WARMUP_STEPS:
            _wait(assembly)
            start = time.perf_counter()
        state.window_start = state.step
        engine.advance(plan.lr(state.step, state.trigger))
    _wait(assembly)
    step_seconds = (time.perf_counter() - start) / TIMED_STEPS
    if assembly.val_set is None:
        return step_seconds, 0.0
    start = time.perf_counter()
    assembly.evaluate_val(state.model, forward=engine.forward)
    return step_seconds, time.perf_counter() - start


def _wait(assembly: Assembly) -> None:
    if assembly.numerics.device.type == "cuda":
        torch.cuda.synchronize(assembly.numerics.device)
