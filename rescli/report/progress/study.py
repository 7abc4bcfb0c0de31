"""A study of several runs on the screen: its plan, its runs side by side, its tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING

from rescli.durations import format_seconds
from rescli.plurals import counted
from rescli.report.progress.counting import Count, counting_bar, counting_lines
from rescli.report.progress.image_wait import PACK
from rescli.report.progress.queue import Progress, queue_progress
from rescli.report.progress.screen import Drawing, Lines, choose_screen
from rescli.studies.events import (
    BudgetFitted,
    Note,
    PlanMade,
    RunBegun,
    RunEnded,
    RunEvent,
    StudyEvent,
    StudySink,
    Testing,
    TrainingBegins,
)

if TYPE_CHECKING:
    from rescli.training.events import Sink

__all__ = ["study_progress"]


@contextmanager
def study_progress(
    progress: bool | None = True, *, quiet: bool = False, plan: bool = True, pack: str = PACK
) -> Iterator[StudySink]:
    """A sink that shows a study for as long as the block lasts.

    Args:
        progress: True for bars, or lines where nothing can be drawn; False for nothing; None for bars on a
            terminal and in a notebook.
        quiet: show only what went wrong.
        plan: whether the plan is shown.
        pack: what packs images is called where advice is given.
    """
    screen = Lines() if quiet else choose_screen(progress)
    if screen is None:
        yield lambda _event: None
        return
    with ExitStack() as stack:
        yield _Study(stack, screen, quiet=quiet, plan=plan, pack=pack)


class _Study:
    def __init__(
        self, stack: ExitStack, screen: Drawing | Lines, *, quiet: bool, plan: bool, pack: str
    ) -> None:
        self._stack = stack
        self._screen = screen
        self._quiet = quiet
        self._plan = plan
        self._pack = pack
        self._training = ExitStack()
        stack.push(self._training)
        self._progress: Progress | None = None
        self._run: AbstractContextManager[Sink] | None = None
        self._sink: Sink | None = None
        self._show_views: Count | None = None

    def __call__(self, event: StudyEvent) -> None:
        if isinstance(event, RunEvent):
            if self._sink is not None:
                self._sink(event.event)
        elif isinstance(event, TrainingBegins):
            self._training.close()
            if not self._quiet:
                shown = queue_progress(event.runs, self._screen, pack=self._pack)
                self._progress = self._training.enter_context(shown)
        elif isinstance(event, RunBegun):
            if self._progress is not None:
                self._run = self._progress(event.run.spec, event.step)
                self._sink = self._run.__enter__()
        elif isinstance(event, RunEnded):
            self._end(event.error)
        elif isinstance(event, Testing):
            self._test(event)
        elif isinstance(event, Note):
            self._screen.say(event.text)
        elif isinstance(event, BudgetFitted):
            self._say_budget(event)
        elif self._plan:
            self._say_plan(event)

    def _end(self, error: BaseException | None) -> None:
        if self._run is not None:
            run, self._run, self._sink = self._run, None, None
            run.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)

    def _test(self, event: Testing) -> None:
        if self._quiet:
            return
        if event.total == 0:
            self._training.close()
            self._screen.say("testing ...")
            if isinstance(self._screen, Lines):
                self._show_views = counting_lines(say=self._screen.say)
            else:
                self._show_views = self._stack.enter_context(counting_bar(self._screen))
        elif self._show_views is not None:
            self._show_views(event.done, event.total)

    def _say_budget(self, event: BudgetFitted) -> None:
        fit = event.fit
        if fit.warning and not event.kept:
            self._screen.say(f"warning: {fit.warning}")
        if self._quiet:
            return
        many = counted(event.num_runs, "run")
        scaled = "not shortened" if fit.ratio == 1 else "scaled: not comparable with published numbers"
        seconds = format_seconds(event.budget_seconds)
        self._screen.say(f"budget {seconds} for {many}: schedules times {fit.ratio:.4f}; {scaled}")

    def _say_plan(self, plan: PlanMade) -> None:
        """One line a run: where it lies, how long it is, and about how long it takes on this CPU."""
        total = 0.0
        for planned in plan.runs:
            cost, seconds = "", planned.cpu_train_seconds
            if seconds is not None and planned.status != "finished":
                total += seconds
                cost = f", about {format_seconds(seconds)} on this CPU"
            self._screen.say(
                f"{planned.status:<8}  {planned.run.path}  "
                f"{counted(planned.run.spec.iterations, 'iteration')}{cost}"
            )
        if len(plan.runs) > 1 and total:
            self._screen.say(f"{'together':<8}  about {format_seconds(total)} on this CPU")
        for label, reason in plan.not_run:
            self._screen.say(f"not run   {label}: {reason}")
