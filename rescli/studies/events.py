"""What a study of several runs tells whoever watches it: a screen, a notebook, a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rescli.errors import RescliError
from rescli.runs.budget.fit import BudgetFit
from rescli.studies.not_run import NotRun
from rescli.studies.queued_run import PlannedRun, QueuedRun
from rescli.training.events import Event

__all__ = [
    "BudgetFitted",
    "Note",
    "PlanMade",
    "RunBegun",
    "RunEnded",
    "RunEvent",
    "StudyEvent",
    "StudySink",
    "Testing",
    "TrainingBegins",
]


@dataclass(frozen=True)
class BudgetFitted:
    """All schedules are shortened alike.

    Args:
        budget_seconds: what was given.
        num_runs: how many share it.
        fit: what fits.
        kept: whether it was measured by an earlier call, whose runs are gone on with.
    """

    budget_seconds: float
    num_runs: int
    fit: BudgetFit
    kept: bool = False


@dataclass(frozen=True)
class PlanMade:
    """The runs in the order in which they will be trained; ``not_run`` says of what is left out why."""

    runs: tuple[PlannedRun, ...]
    not_run: tuple[tuple[str, NotRun], ...] = ()


@dataclass(frozen=True)
class TrainingBegins:
    """The first of these runs begins."""

    runs: tuple[QueuedRun, ...]


@dataclass(frozen=True)
class RunBegun:
    """A run is ready to train, from ``step`` on."""

    run: QueuedRun
    step: int


@dataclass(frozen=True)
class RunEvent:
    """An event of the training of one run."""

    run: QueuedRun
    event: Event


@dataclass(frozen=True)
class RunEnded:
    """A run is finished, or was left with an error."""

    run: QueuedRun
    error: BaseException | None = None


@dataclass(frozen=True)
class Testing:
    """Views evaluated so far, and of all images of the checkpoint; 0 of 0 when testing begins."""

    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Note:
    """A sentence that the user should read; ``error`` where something went wrong."""

    text: str
    error: RescliError | None = None


StudyEvent = BudgetFitted | PlanMade | TrainingBegins | RunBegun | RunEvent | RunEnded | Testing | Note

StudySink = Callable[[StudyEvent], None]
