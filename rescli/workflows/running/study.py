"""What ``compare`` and ``reproduce`` share: runs planned, fitted into a budget, trained and tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rescli.durations import parse_seconds
from rescli.errors import Interrupted, RescliError, UsageError
from rescli.evaluation.logits.cache import LogitsCache
from rescli.hardware.launcher import launched, num_ranks
from rescli.hardware.numerics import choose_device
from rescli.report.progress.study import study_progress
from rescli.runs.evaluating.evaluator import Evaluator
from rescli.spec.run import RunSpec
from rescli.studies.events import Note, PlanMade, StudyEvent, StudySink, Testing, TrainingBegins
from rescli.studies.not_run import NotRun
from rescli.studies.queue import RunQueue
from rescli.studies.queued_run import QueuedRun
from rescli.studies.shared_budget import SharedBudget
from rescli.workflows.running.stopping import Stop, StopFromSink

__all__ = ["Study", "StudyProgress", "as_seconds", "watched"]

Key = TypeVar("Key")
Failure = Callable[[QueuedRun, RescliError], None]

StudyProgress = Callable[[], AbstractContextManager[StudySink]]
"""() -> a block whose sink shows the study."""


def as_seconds(budget: str | float | None) -> float | None:
    """A budget in seconds: ``"20m"``, ``90`` or None.

    Raises:
        UsageError: it is no duration.
    """
    return parse_seconds(str(budget)) if budget is not None else None


@contextmanager
def _going_on_together() -> Iterator[None]:
    """Within the block, what is stopped names the way to go on with all runs, not with one of them."""
    try:
        yield
    except Interrupted as error:
        raise Interrupted(
            str(error), hint="the same command trains what is missing", clean=error.clean, page=error.page
        ) from error


@contextmanager
def watched(progress: StudyProgress | bool | None, on_event: StudySink | None) -> Iterator[StudySink]:
    """A block whose sink shows a study and tells the caller of it."""
    with progress() if callable(progress) else study_progress(progress) as shown:

        def tell(event: StudyEvent) -> None:
            shown(event)
            if on_event is not None:
                on_event(event)

        yield tell


@dataclass(frozen=True)
class Study:
    """Where and how several runs are trained and tested.

    Args:
        runs: the folder in which run directories lie and are found again.
        out: the folder of the study itself.
        budget_seconds: for all runs together; None for whole schedules.
        data_root: where the images lie; None for the usual places.
        device: its name, or ``auto``.
        on_event: told of everything that happens.
        stopping: a block within which somebody may ask the training to stop.
        tested_images: how many images of a run are evaluated when it is finished.
        threads: of the CPU; None for as many as there are cores, or as a run began with.
    """

    runs: Path
    out: Path
    budget_seconds: float | None
    data_root: Path | None
    device: str
    on_event: StudySink
    stopping: Callable[[], AbstractContextManager[Stop]]
    tested_images: Callable[[RunSpec], int]
    threads: int | None = None

    def plan(self, groups: Mapping[Key, Sequence[RunSpec]]) -> dict[Key, list[QueuedRun]]:
        """The runs of each group, with whole schedules."""
        return {key: [QueuedRun.below(self.runs, spec) for spec in group] for key, group in groups.items()}

    def require_device(self) -> None:
        """Refuse a device that is not here before anything is trained or tested.

        Raises:
            UsageError: no device has that name, or this machine has none.
        """
        choose_device(self.device)

    def announce(self, queue: Sequence[QueuedRun], not_run: Mapping[str, NotRun] | None = None) -> PlanMade:
        """Tell the plan: how far each run is, and about how long it takes."""
        plan = PlanMade(tuple(run.planned() for run in queue), tuple((not_run or {}).items()))
        self.on_event(plan)
        return plan

    def train(
        self,
        groups: Mapping[Key, Sequence[RunSpec]],
        *,
        order: Callable[[dict[Key, list[QueuedRun]]], list[QueuedRun]],
        not_run: Mapping[str, NotRun] | None = None,
        on_failure: Failure | None = None,
        train: bool = True,
    ) -> dict[Key, list[QueuedRun]]:
        """Fit what is wanted into the budget, and train what is missing.

        Args:
            groups: the specs of each contender, one a seed.
            order: all runs in the order of training.
            not_run: what is left out, and why.
            on_failure: told of a run that diverged or had too little memory; unset, the error is raised.
            train: whether to train, or only to fit and tell the plan.

        Returns:
            The runs of each group, trained.

        Raises:
            Interrupted: somebody asked to stop, or ``on_event`` raised KeyboardInterrupt; the state is saved.
            DataError: the images are missing or damaged.
            UsageError: the budget is too short to learn anything; or a launcher began several processes.
        """
        if train and launched():
            raise UsageError(
                f"runs are trained one after the other, each by this process alone; WORLD_SIZE={num_ranks()} "
                "says that there are others.",
                hint="begin it without a launcher; if the variable was left over, unset WORLD_SIZE",
                page="port-in-use-or-world_size-left-over",
            )
        with _going_on_together(), self.stopping() as stop:
            asked = StopFromSink(stop)
            told = asked.watching(self.on_event)
            queue = RunQueue(self.data_root, self.device, told, asked, asked.interrupting, self.threads)
            budget = None
            if self.budget_seconds is not None:
                budget = SharedBudget(self.budget_seconds, self.out, queue, self.tested_images)
            planned = self.plan(budget.shorten(groups) if budget else groups)
            self.announce(order(planned), not_run)
            if not train:
                return planned
            done = self._train_in(queue, order(planned), on_failure, budget)
            if budget is not None and not done:
                planned = self.plan(budget.shorten_again(groups))
                self.announce(order(planned), not_run)
                self._train_in(queue, order(planned), on_failure, budget)
            asked.raise_if_asked()  # at the end of the last run
            return planned

    def _train_in(
        self,
        queue: RunQueue,
        runs: Sequence[QueuedRun],
        on_failure: Failure | None,
        budget: SharedBudget | None,
    ) -> bool:
        """Whether all came to their end; False where the speed is not what the budget was fitted by."""
        if all(run.status == "finished" for run in runs):
            return True
        self.on_event(TrainingBegins(tuple(runs)))
        return queue.train(runs, on_failure=on_failure, off_plan=budget.off_plan if budget else None)

    def evaluator(self, split: str | None, protocol: str | None = None) -> Evaluator:
        """What tests the trained nets.

        Args:
            split: None for the test part, or val where a set has no other.
            protocol: None for the data set's own single view.
        """
        return Evaluator(
            split=split,
            protocol=protocol,
            data_root=self.data_root,
            device=self.device,
            cache=LogitsCache.of_user(),
            progress=lambda done, total: self.on_event(Testing(done, total)),
        )

    def note(self, text: str, error: RescliError | None = None) -> None:
        """Tell a sentence."""
        self.on_event(Note(text, error))
