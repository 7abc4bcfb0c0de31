"""What a person sees while training: bars on a terminal and in a notebook, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Group
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from rescli.durations import format_seconds
from rescli.report.progress.counting import count_text
from rescli.report.progress.image_wait import PACK, WaitVerdict, waited_text
from rescli.report.progress.screen import Drawing, Lines, choose_screen
from rescli.training.events import (
    EngineChosen,
    EvalDone,
    EvalRunning,
    Event,
    FitDone,
    MetricsReady,
    Sink,
    StepDone,
    Stopped,
)

__all__ = ["Newest", "training_progress"]

LINE_SECONDS = 10.0


@contextmanager
def training_progress(
    *,
    name: str,
    total_steps: int,
    start_step: int = 0,
    progress: bool | None = True,
    workers: str = "workers",
    pack: str = PACK,
) -> Iterator[Sink]:
    """A sink that shows a run for as long as the block lasts.

    Where stderr breaks, it falls silent: training goes on.

    Args:
        name: what stands before the bar.
        total_steps: iterations of the whole run.
        start_step: the iterations that were done before this process began.
        progress: True for bars, or lines where nothing can be drawn; False for nothing; None for bars on a
            terminal and in a notebook.
        workers: what the setting is called where advice is given.
        pack: what packs images is called there.
    """
    screen = choose_screen(progress)
    verdict = WaitVerdict(start_step, workers=workers, pack=pack)
    if screen is None:
        yield lambda _event: None
    elif isinstance(screen, Lines):
        yield _Lines(total_steps, verdict, screen)
    else:
        bars = _Bars(name, total_steps, start_step, verdict, screen)
        with screen.showing(bars) as bars.changed:
            yield bars


class Newest:
    """The newest value of everything that is shown."""

    def __init__(self) -> None:
        self.metrics: MetricsReady | None = None
        self.val: EvalDone | None = None
        self.best: EvalDone | None = None
        self.running: EvalRunning | None = None

    def update(self, event: Event) -> None:
        """Take over what an event tells."""
        if isinstance(event, MetricsReady):
            self.metrics = event
        elif isinstance(event, EvalRunning):
            self.running = event
        elif isinstance(event, EvalDone):
            self.val, self.running = event, None
            self.best = event if event.best else self.best

    def val_text(self) -> str:
        """The validation error, and the best one where that was another."""
        if self.val is None:
            return "-"
        error = self.val.result.top1_error
        lowest = self.best.result.top1_error if self.best else error
        return f"{error:.2f} %" + (f" (best {lowest:.2f} %)" if lowest != error else "")


class _Bars:
    def __init__(
        self, name: str, total_steps: int, start_step: int, verdict: WaitVerdict, screen: Drawing
    ) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._newest = Newest()
        self._verdict = verdict
        self._screen = screen
        self._bar = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            expand=True,
        )
        self._task = self._bar.add_task(name, total=total_steps, completed=start_step)
        self._step = start_step

    def __call__(self, event: Event) -> None:
        self._newest.update(event)
        if isinstance(event, MetricsReady) and (sentence := self._verdict(event)):
            self._screen.say(sentence)
        if isinstance(event, EngineChosen):
            self._screen.say(_engine(event))
        elif isinstance(event, StepDone | FitDone | Stopped):
            self._step = event.step
        self.changed()

    def __rich__(self) -> Group:
        # Here, and not at each step: one can take half a millisecond, and would wait for the bar.
        self._bar.update(self._task, completed=self._step)
        table = Table.grid(padding=(0, 3))
        metrics = self._newest.metrics
        if metrics is None:
            return Group(self._bar, Text("first iterations ...", style="dim"))
        table.add_row(*[Text.assemble((title, "dim"), " ", value) for title, value in self._cells(metrics)])
        return Group(self._bar, table)

    def _cells(self, metrics: MetricsReady) -> list[tuple[str, str]]:
        waited, running = waited_text(metrics), self._newest.running
        return [
            ("epoch", f"{metrics.epoch:.2f}"),
            ("lr", f"{metrics.lr:g}"),
            ("loss", f"{metrics.loss:.4f}"),
            ("train", f"{metrics.top1_error:.2f} %"),
            ("val", self._newest.val_text() if running is None else f"{running.done:,}/{running.total:,}"),
            ("img/s", f"{metrics.images_per_second:,.0f}"),
            *([("waited", waited)] if waited is not None else []),
        ]


class _Lines:
    def __init__(self, total_steps: int, verdict: WaitVerdict, screen: Lines) -> None:
        self._total_steps = total_steps
        self._say = screen.say
        self._newest = Newest()
        self._verdict = verdict
        self._printed = time.monotonic()
        self._seconds_per_step = 0.0

    def __call__(self, event: Event) -> None:
        before = self._newest.metrics
        self._newest.update(event)
        if isinstance(event, MetricsReady):
            self._seconds_per_step = _seconds_per_step(before, event)
            if sentence := self._verdict(event):
                self._say(sentence)
        if isinstance(event, StepDone | MetricsReady):
            # A line is due at some step, but only some steps bring metrics: it says the newest there are.
            last = isinstance(event, MetricsReady) and event.step == self._total_steps
            if last or time.monotonic() - self._printed >= LINE_SECONDS:
                self._printed = time.monotonic()
                self._print(event.step)
        elif isinstance(event, EngineChosen):
            self._say(_engine(event))
        elif isinstance(event, EvalRunning):
            if time.monotonic() - self._printed >= LINE_SECONDS:
                self._printed = time.monotonic()
                text = count_text(event.done, event.total, event.seconds, "images")
                self._say(f"iteration {event.step:>6}  validation {text}")
        elif isinstance(event, EvalDone):
            self._say(f"iteration {event.step:>6}  val error {self._newest.val_text()}")

    def _print(self, step: int) -> None:
        at = f"iteration {step:>6}/{self._total_steps}"
        newest = self._newest.metrics
        if newest is None:  # the first window is not over
            self._say(at)
            return
        waited = waited_text(newest)
        self._say(
            f"{at}  epoch {newest.epoch:7.2f}  lr {newest.lr:<7g} "
            f"loss {newest.loss:.4f}  train error {newest.top1_error:6.2f} %  "
            f"{newest.images_per_second:,.0f} img/s  "
            + (f"waited {waited}  " if waited is not None else "")
            + f"ETA {format_seconds((self._total_steps - step) * self._seconds_per_step)}"
        )


def _seconds_per_step(before: MetricsReady | None, newest: MetricsReady) -> float:
    """What the newest window took, since the machine may have been busier before; at first the run's mean."""
    if before is None or newest.images_per_second == 0:
        return newest.train_seconds / newest.step
    return newest.num_images / newest.images_per_second / (newest.step - before.step)


def _engine(event: EngineChosen) -> str:
    reasons = [reason for reason in (event.why_slower, event.why_plain) if reason]
    return f"engine {event.engine}, {event.kernels} kernels" + "".join(f"\n  {reason}" for reason in reasons)
