"""Events into what a person sees while training: bars on a terminal, lines elsewhere. Always stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
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

from rescli.cli.output.durations import format_seconds
from rescli.cli.output.messages import drop_stderr, say
from rescli.cli.progress.image_wait import WaitVerdict, waited_text
from rescli.training.events import EngineChosen, EvalDone, Event, FitDone, MetricsReady, StepDone, Stopped

__all__ = ["REDRAW_SECONDS", "Figures", "Unbreakable", "training_progress"]

REDRAW_SECONDS = 0.1
"""A step can take half a millisecond; drawing more often than this would be what it waits for."""
LINE_SECONDS = 10.0


class _Progress(Protocol):
    def __call__(self, event: Event) -> None: ...


@contextmanager
def training_progress(
    *, name: str, total_steps: int, start_step: int = 0, quiet: bool = False
) -> Iterator[_Progress]:
    """A sink for as long as the block lasts. Where stderr breaks, it falls silent: training goes on."""
    console = Console(stderr=True)
    if quiet:
        yield lambda _event: None
    elif console.is_terminal and not console.is_dumb_terminal:
        bars = _Bars(name, total_steps, start_step, console)
        with bars.live:
            yield Unbreakable(bars)
    else:
        yield Unbreakable(_Lines(total_steps, start_step))


class Unbreakable:
    """A sink that falls silent where its output breaks: nobody reading is no reason to stop training."""

    def __init__(self, progress: _Progress) -> None:
        self._progress: _Progress | None = progress

    def __call__(self, event: Event) -> None:
        if self._progress is None:
            return
        try:
            self._progress(event)
        except (OSError, ValueError):  # nobody reads any more: a closed pipe, a full or closed device
            self._progress = None
            drop_stderr()


class Figures:
    """The newest value of everything that is shown."""

    def __init__(self) -> None:
        self.metrics: MetricsReady | None = None
        self.val: EvalDone | None = None
        self.best: EvalDone | None = None

    def update(self, event: Event) -> None:
        if isinstance(event, MetricsReady):
            self.metrics = event
        elif isinstance(event, EvalDone):
            self.val = event
            self.best = event if event.best else self.best

    def val_text(self) -> str:
        if self.val is None:
            return "-"
        best = f" (best {self.best.result.top1_error:.2f} %)" if self.best and not self.val.best else ""
        return f"{self.val.result.top1_error:.2f} %{best}"


class _Bars:
    def __init__(self, name: str, total_steps: int, start_step: int, console: Console) -> None:
        self._figures = Figures()
        self._verdict = WaitVerdict(start_step)
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
        self.live = Live(self._render(), console=console, refresh_per_second=8)

    def __call__(self, event: Event) -> None:
        self._figures.update(event)
        if isinstance(event, MetricsReady) and (sentence := self._verdict(event)):
            say(sentence)  # above the bars
        if isinstance(event, StepDone):
            now = time.monotonic()
            if now - self._drawn < REDRAW_SECONDS:
                return
            self._drawn = now
        if isinstance(event, EngineChosen):
            self.live.console.print(_engine(event), markup=False, highlight=False, soft_wrap=True)
        elif isinstance(event, StepDone | FitDone | Stopped):
            self._bar.update(self._task, completed=event.step)
        else:
            self.live.update(self._render())

    def _render(self) -> Group:
        table = Table.grid(padding=(0, 3))
        metrics = self._figures.metrics
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
            ("val", self._figures.val_text()),
            ("img/s", f"{metrics.images_per_second:,.0f}"),
            *([("waited", waited)] if waited is not None else []),
        ]


class _Lines:
    def __init__(self, total_steps: int, start_step: int) -> None:
        self._total_steps = total_steps
        self._figures = Figures()
        self._verdict = WaitVerdict(start_step)
        self._printed = time.monotonic()

    def __call__(self, event: Event) -> None:
        self._figures.update(event)
        now = time.monotonic()
        if isinstance(event, MetricsReady) and (sentence := self._verdict(event)):
            say(sentence)
        if isinstance(event, MetricsReady) and (
            now - self._printed >= LINE_SECONDS or event.step == self._total_steps
        ):
            self._printed = now
            self._print_metrics(event)
        elif isinstance(event, StepDone) and now - self._printed >= LINE_SECONDS:
            self._printed = now
            say(f"iteration {event.step:>6}/{self._total_steps}")
        elif isinstance(event, EngineChosen):
            say(_engine(event))
        elif isinstance(event, EvalDone):
            say(f"iteration {event.step:>6}  val error {self._figures.val_text()}")

    def _print_metrics(self, event: MetricsReady) -> None:
        waited = waited_text(event)
        remaining = (self._total_steps - event.step) * event.train_seconds / event.step
        say(
            f"iteration {event.step:>6}/{self._total_steps}  epoch {event.epoch:7.2f}  lr {event.lr:<7g} "
            f"loss {event.loss:.4f}  train error {event.top1_error:6.2f} %  "
            f"{event.images_per_second:,.0f} img/s  "
            + (f"waited {waited}  " if waited is not None else "")
            + f"ETA {format_seconds(remaining)}"
        )


def _engine(event: EngineChosen) -> str:
    reasons = [reason for reason in (event.why_slower, event.why_plain) if reason]
    return f"engine {event.engine}, {event.kernels} kernels" + "".join(f"\n  {reason}" for reason in reasons)
