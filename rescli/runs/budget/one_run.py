"""The budget of one run: fitted before it trains, looked at again when a twentieth of it is done."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rescli.errors import UsageError
from rescli.runs.assembly import Assembly
from rescli.runs.budget.fit import BudgetFit, fit_budget, is_off_plan
from rescli.runs.budget.trial import RunCost, SpeedWatch, measure_cost
from rescli.spec.run import RunSpec
from rescli.training.events import Event

__all__ = ["BudgetedSpec", "RunBudget"]


@dataclass(frozen=True)
class BudgetedSpec:
    """A spec that fits its budget, and a warning where it is likely to learn little."""

    spec: RunSpec
    step_seconds: float
    warning: str | None = None


class RunBudget:
    """A time for one run, from the moment that it was asked for to its last evaluation."""

    def __init__(self, seconds: float, *, began: float) -> None:
        """
        Args:
            seconds: for everything: reading images, training, evaluations.
            began: reading of ``time.perf_counter`` from which on they count.
        """
        self.seconds = seconds
        self._began = began
        self._fitted: tuple[RunSpec, RunCost, BudgetFit] | None = None
        self._watch: SpeedWatch | None = None
        self.why_off: str | None = None
        """A sentence where the run's speed is so different that it should be planned anew; else None."""

    def shorten(self, assembly: Assembly) -> BudgetedSpec:
        """Shorten a run's whole course in proportion until it fits; one that fits already stays as it is.

        Called again, it fits what is left of the time.

        Args:
            assembly: the run's parts, as they will train, with the whole spec.

        Raises:
            UsageError: the budget is too short to learn anything.
        """
        for last in (False, True):
            # Its start is what training does once more: a new net, an engine, first steps.
            cost = measure_cost(assembly, began=time.perf_counter(), budget_seconds=self.seconds)
            spent = time.perf_counter() - self._began
            try:
                fit = fit_budget([(assembly.spec, cost)], self.seconds, spent_seconds=spent)
                fit.require_hope(self.seconds)
                break
            except (
                UsageError
            ):  # before it is refused: a machine that was busy for a moment looks like that too
                if last:
                    raise
        first = self._fitted is None  # a run is taken back once, no more
        self._fitted = (assembly.spec, cost, fit)
        shortened = fit.apply(assembly.spec)
        self._watch = SpeedWatch(shortened.iterations) if first else None
        self.why_off = None
        return BudgetedSpec(shortened, cost.step, fit.warning)

    def see(self, event: Event) -> None:
        """A sink that reads the speed off the run itself."""
        if self._watch is None or self._fitted is None:
            return
        self._watch(event)
        if self._watch.step_seconds is not None:
            spec, cost, fit = self._fitted
            factor = self._watch.step_seconds / cost.step
            elapsed = time.perf_counter() - self._began
            if is_off_plan(fit, [(spec, cost)], factor, self.seconds, elapsed_seconds=elapsed):
                self.why_off = (
                    f"an iteration takes {1000 * self._watch.step_seconds:.0f} ms, not the "
                    f"{1000 * cost.step:.0f} ms of the trial: the run is planned anew and begins again, once."
                )
            self._watch = None
