"""What a person sees while training: bars on a terminal and in a notebook, lines elsewhere.

On a terminal it goes to stderr, always.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
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
from rescli.report.messages import say
from rescli.report.progress.image_wait import PACK, WaitVerdict, waited_text
from rescli.report.progress.notebook import NotebookLive
from rescli.training.events import EngineChosen, EvalDone, Event, FitDone, MetricsReady, StepDone, Stopped

__all__ = ["REDRAW_SECONDS", "Newest", "Unbreakable", "training_progress"]

REDRAW_SECONDS = 0.1
"""A step can take half a millisecond; drawing more often than this would be what it waits for."""
LINE_SECONDS = 10.0

_BROKEN = (OSError, ValueError)
"""Nobody reads any more: a closed pipe, a full or closed device."""


class _Progress(Protocol):
    def __call__(self, event: Event) -> None: ...


class _Console(Console):
    """Falls silent where nobody reads; rich would end the process, with stdout thrown away."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


@contextmanager
def training_progress(
    *,
    name: str,
    total_steps: int,
    start_step: int = 0,
    quiet: bool = False,
    workers: str = "workers",
    pack: str = PACK,
    lines: bool = True,
    on_broken: Callable[[], None] = lambda: None,
) -> Iterator[_Progress]:
    """A sink that shows a run for as long as the block lasts.

    Where stderr breaks, it falls silent: training goes on.

    Args:
        name: what stands before the bar.
        total_steps: iterations of the whole run.
        start_step: the iterations that were done before this process began.
        quiet: show nothing.
        workers: what the setting is called where advice is given.
        pack: what packs images is called there.
        lines: print a line now and then where there are no bars; else nothing is shown there.
        on_broken: called once where stderr breaks.
    """
    console = _Console(stderr=True)
    verdict = WaitVerdict(start_step, workers=workers, pack=pack)
    if quiet:
        yield lambda _event: None
    elif console.is_jupyter or (console.is_terminal and not console.is_dumb_terminal):

        def silence() -> None:
            console.quiet = True
            on_broken()

        bars = _Bars(name, total_steps, start_step, verdict, console)
        with _standing(bars.live, silence):
            yield Unbreakable(bars, silence)
    elif lines:
        yield Unbreakable(_Lines(total_steps, verdict), on_broken)
    else:
        yield lambda _event: None


@contextmanager
def _standing(live: Live | NotebookLive, silence: Callable[[], None]) -> Iterator[None]:
    """``live`` for as long as the block lasts, which its first and last pictures cannot break either."""
    try:
        live.__enter__()
    except _BROKEN:
        silence()
        yield
        return
    try:
        yield
    finally:
        try:
            live.__exit__(*sys.exc_info())
        except _BROKEN:
            silence()


class Unbreakable:
    """A sink that falls silent where its output breaks: nobody reading is no reason to stop training.

    Args:
        progress: the sink.
        on_broken: called once, then.
    """

    def __init__(self, progress: _Progress, on_broken: Callable[[], None] = lambda: None) -> None:
        self._progress: _Progress | None = progress
        self._on_broken = on_broken

    def __call__(self, event: Event) -> None:
        if self._progress is None:
            return
        try:
            self._progress(event)
        except _BROKEN:
            self._progress = None
            self._on_broken()


class Newest:
    """The newest value of everything that is shown."""

    def __init__(self) -> None:
        self.metrics: MetricsReady | None = None
        self.val: EvalDone | None = None
        self.best: EvalDone | None = None

    def update(self, event: Event) -> None:
        """Take over what an event tells."""
        if isinstance(event, MetricsReady):
            self.metrics = event
        elif isinstance(event, EvalDone):
            self.val = event
            self.best = event if event.best else self.best

    def val_text(self) -> str:
        """The validation error, and the best one where that was another."""
        if self.val is None:
            return "-"
        best = f" (best {self.best.result.top1_error:.2f} %)" if self.best and not self.val.best else ""
        return f"{self.val.result.top1_error:.2f} %{best}"


class _Bars:
    def __init__(
        self, name: str, total_steps: int, start_step: int, verdict: WaitVerdict, console: Console
    ) -> None:
        self._newest = Newest()
        self._verdict = verdict
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            expand=True,
        )
        self._task = self._bar.add_task(name, total=total_steps, completed=start_step)
        self._drawn = 0.0
        self.live: Live | NotebookLive = (
            NotebookLive(self._render())
            if console.is_jupyter
            else Live(self._render(), console=console, refresh_per_second=8)
        )

    def __call__(self, event: Event) -> None:
        self._newest.update(event)
        if isinstance(event, MetricsReady) and (sentence := self._verdict(event)):
            self._say(sentence)  # above the bars
        if isinstance(event, StepDone):
            now = time.monotonic()
            if now - self._drawn < REDRAW_SECONDS:
                return
            self._drawn = now
        if isinstance(event, EngineChosen):
            self._say(_engine(event))
        elif isinstance(event, StepDone | FitDone | Stopped):
            self._bar.update(self._task, completed=event.step)
            if isinstance(self.live, NotebookLive):  # a terminal's is drawn by a thread
                self.live.refresh()
        else:
            self.live.update(self._render())

    def _say(self, text: str) -> None:
        if isinstance(self.live, NotebookLive):
            self.live.print(text)
        else:
            self.live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> Group:
        table = Table.grid(padding=(0, 3))
        metrics = self._newest.metrics
        if metrics is None:
            return Group(self._bar, Text("first iterations ...", style="dim"))
        table.add_row(*[f"[dim]{title}[/] {value}" for title, value in self._cells(metrics)])
        return Group(self._bar, table)

    def _cells(self, metrics: MetricsReady) -> list[tuple[str, str]]:
        waited = waited_text(metrics)
        return [
            ("epoch", f"{metrics.epoch:.2f}"),
            ("lr", f"{metrics.lr:g}"),
            ("loss", f"{metrics.loss:.4f}"),
            ("train", f"{metrics.top1_error:.2f} %"),
            ("val", self._newest.val_text()),
            ("img/s", f"{metrics.images_per_second:,.0f}"),
            *([("waited", waited)] if waited is not None else []),
        ]


class _Lines:
    def __init__(self, total_steps: int, verdict: WaitVerdict) -> None:
        self._total_steps = total_steps
        self._newest = Newest()
        self._verdict = verdict
        self._printed = time.monotonic()

    def __call__(self, event: Event) -> None:
        self._newest.update(event)
        if isinstance(event, MetricsReady) and (sentence := self._verdict(event)):
            say(sentence)
        if isinstance(event, StepDone | MetricsReady):
            # A line is due at some step, but only some steps bring metrics: it says the newest there are.
            last = isinstance(event, MetricsReady) and event.step == self._total_steps
            if last or time.monotonic() - self._printed >= LINE_SECONDS:
                self._printed = time.monotonic()
                self._print(event.step)
        elif isinstance(event, EngineChosen):
            say(_engine(event))
        elif isinstance(event, EvalDone):
            say(f"iteration {event.step:>6}  val error {self._newest.val_text()}")

    def _print(self, step: int) -> None:
        at = f"iteration {step:>6}/{self._total_steps}"
        newest = self._newest.metrics
        if newest is None:  # the first window is not over
            say(at)
            return
        waited = waited_text(newest)
        remaining = (self._total_steps - step) * newest.train_seconds / newest.step
        say(
            f"{at}  epoch {newest.epoch:7.2f}  lr {newest.lr:<7g} "
            f"loss {newest.loss:.4f}  train error {newest.top1_error:6.2f} %  "
            f"{newest.images_per_second:,.0f} img/s  "
            + (f"waited {waited}  " if waited is not None else "")
            + f"ETA {format_seconds(remaining)}"
        )


def _engine(event: EngineChosen) -> str:
    reasons = [reason for reason in (event.why_slower, event.why_plain) if reason]
    return f"engine {event.engine}, {event.kernels} kernels" + "".join(f"\n  {reason}" for reason in reasons)
