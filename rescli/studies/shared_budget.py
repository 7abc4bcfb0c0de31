"""One budget for several runs: one ratio for all schedules, looked at again while the first run trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NotRequired, TypeVar

from pydantic import Field, with_config
from typing_extensions import TypedDict

from rescli.errors import UsageError
from rescli.files import write_json
from rescli.plan import make_plan
from rescli.runs.budget.fit import BudgetFit, fit_budget, is_off_plan
from rescli.runs.budget.trial import RunCost
from rescli.spec.run import RunSpec
from rescli.stored.json_values import read_stored
from rescli.stored.values import EXACT, Seconds
from rescli.studies.events import BudgetFitted, Note
from rescli.studies.queue import RunQueue
from rescli.studies.queued_run import QueuedRun

__all__ = ["SharedBudget"]

Key = TypeVar("Key")


_ANEW = "delete it: the budget is fitted anew"


@with_config(EXACT)
class _Note(TypedDict):
    """budget.json: what was fitted, so that a study that was interrupted goes on with the same specs."""

    budget_seconds: Seconds
    ratio: Annotated[float, Field(gt=0, le=1)]
    specs: list[str]
    evaluations: NotRequired[Annotated[int, Field(gt=0)] | None]


@dataclass
class SharedBudget:
    """A time for all runs of a study together, from its beginning to its end.

    Args:
        seconds: the time.
        out: the study's folder, where the fit is kept.
        queue: what trains and times the runs.
        tested_images: how many images are evaluated when a run is finished.
    """

    seconds: float
    out: Path
    queue: RunQueue
    tested_images: Callable[[RunSpec], int] = lambda _spec: 0
    _began: float = field(default_factory=time.monotonic)
    _specs: list[RunSpec] = field(default_factory=list)
    _costs: dict[str, RunCost] = field(default_factory=dict)
    _fit: BudgetFit | None = None
    _looks_again: bool = False

    def shorten(self, groups: Mapping[Key, Sequence[RunSpec]]) -> dict[Key, list[RunSpec]]:
        """All specs with one ratio: measured once, then read from the study's folder.

        Raises:
            CheckpointError: the study's budget.json is damaged.
            DataError: the images are missing.
            UsageError: the budget is too short to learn anything.
        """
        specs = [spec for group in groups.values() for spec in group]
        kept = self._kept(specs)
        self._looks_again = kept is None
        return self._apply(kept or self._measured(specs), groups)

    def shorten_again(self, groups: Mapping[Key, Sequence[RunSpec]]) -> dict[Key, list[RunSpec]]:
        """All specs with another ratio, for what is left of the time: the first run was off the plan."""
        self._looks_again = False
        return self._apply(self._measured([spec for group in groups.values() for spec in group]), groups)

    def _apply(self, fit: BudgetFit, groups: Mapping[Key, Sequence[RunSpec]]) -> dict[Key, list[RunSpec]]:
        self._specs = [spec for group in groups.values() for spec in group]
        self._fit = fit
        self.queue.on_event(BudgetFitted(self.seconds, len(self._specs), fit, kept=not self._costs))
        return {key: [fit.apply(spec) for spec in group] for key, group in groups.items()}

    @property
    def off_plan(self) -> Callable[[QueuedRun, float], bool] | None:
        """For ``RunQueue.train``; None where the fit was kept, or was looked at again already."""
        return self._is_off if self._looks_again else None

    def _is_off(self, run: QueuedRun, step_seconds: float) -> bool:
        """Whether the speed of the run that trains asks for another ratio, for all."""
        assert self._fit is not None
        key = self._key(next(spec for spec in self._specs if self._fit.apply(spec) == run.spec))
        before = self._costs[key]
        factor = step_seconds / before.step
        elapsed = time.monotonic() - self._began
        costs = [(spec, self._costs[self._key(spec)]) for spec in self._specs]
        off = is_off_plan(self._fit, costs, factor, self.seconds, elapsed_seconds=elapsed)
        if not off:
            return False
        self._costs = {key: before.times(factor)}
        self.queue.on_event(
            Note(
                f"an iteration of {run.spec.name} takes {1000 * step_seconds:.0f} ms, not the "
                f"{1000 * before.step:.0f} ms of the trial: all runs are planned anew, once."
            )
        )
        return True

    def _measured(self, specs: Sequence[RunSpec]) -> BudgetFit:
        try:
            fit = self._timed(specs)
        except UsageError:  # before it is refused: a machine that was busy for a moment looks like that too
            self._costs.clear()
            fit = self._timed(specs)
        note: _Note = {
            "budget_seconds": self.seconds,
            "ratio": fit.ratio,
            "specs": [spec.fingerprint() for spec in specs],
            "evaluations": fit.evaluations,
        }
        write_json(self.out / "budget.json", note)
        return fit

    def _timed(self, specs: Sequence[RunSpec]) -> BudgetFit:
        for spec in specs:
            if (key := self._key(spec)) not in self._costs:
                self._costs[key] = self.queue.measure(
                    spec, budget_seconds=self.seconds, tested_images=self.tested_images
                )
        costs = [(spec, self._costs[self._key(spec)]) for spec in specs]
        fit = fit_budget(costs, self.seconds, spent_seconds=time.monotonic() - self._began)
        fit.require_hope(self.seconds)
        return fit

    def _kept(self, specs: Sequence[RunSpec]) -> BudgetFit | None:
        """The fit of an earlier call for the same runs and the same time."""
        path = self.out / "budget.json"
        note = read_stored(path, _Note, hint=_ANEW) if path.is_file() else None
        if note is None or note.get("specs") != [spec.fingerprint() for spec in specs]:
            return None
        if note.get("budget_seconds") != self.seconds:
            return None
        ratio = note["ratio"]
        shortest = min(int(ratio * spec.iterations) for spec in specs)
        epochs = min(make_plan(spec).epoch(int(ratio * spec.iterations)) for spec in specs)
        return BudgetFit(ratio, note.get("evaluations"), shortest, epochs, self.seconds, self.seconds)

    @staticmethod
    def _key(spec: RunSpec) -> str:
        """The same for runs that differ in their seed alone."""
        return spec.model_copy(update={"seed": 0}).fingerprint()
