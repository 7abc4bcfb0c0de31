"""Runs of one queue side by side: a row each where they can be drawn, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from rich.progress_bar import ProgressBar
from rich.table import Table

from rescli.durations import format_seconds
from rescli.report.progress.image_wait import PACK
from rescli.report.progress.run import Newest, training_progress
from rescli.report.progress.screen import Drawing, Lines
from rescli.training.events import Event, FitDone, MetricsReady, StepDone, Stopped

if TYPE_CHECKING:
    from rescli.spec.run import RunSpec
    from rescli.studies.queued_run import QueuedRun
    from rescli.training.events import Sink

__all__ = ["Progress", "queue_progress"]

Progress = Callable[["RunSpec", int], AbstractContextManager["Sink"]]


@contextmanager
def queue_progress(
    queue: Sequence[QueuedRun], screen: Drawing | Lines, *, pack: str = PACK
) -> Iterator[Progress]:
    """``progress(spec, iteration to begin at)`` is a block whose sink shows that run among the others."""
    if isinstance(screen, Lines):
        yield _one_by_one(screen, pack)
        return
    view = _View(queue)
    with screen.showing(view) as view.changed:
        yield view.watch


def _one_by_one(screen: Lines, pack: str) -> Progress:
    def progress(spec: RunSpec, begin: int) -> AbstractContextManager[Sink]:
        screen.say(f"{spec.name}: from iteration {begin} of {spec.iterations}")
        return training_progress(name=spec.name, total_steps=spec.iterations, start_step=begin, pack=pack)

    return progress


class _Row:
    """One run: how far it is, its newest figures, and what it costs for the forecast."""

    def __init__(self, run: QueuedRun) -> None:
        layout = run.spec.model.layout(
            num_classes=run.spec.data.dataset.num_classes, image_size=run.spec.data.dataset.image_size
        )
        self.name = run.spec.name
        self.total = run.spec.iterations
        self.step = self.total if run.status == "finished" else 0
        self.status = {"finished": "done", "begun": "begun", "missing": "waits"}[run.status]
        self.newest = Newest()
        self.cost = run.spec.data.batch_size * (layout.macs if layout else 1)
        """What an iteration costs, in any unit that is the same for all rows."""

    def cells(self) -> list[object]:
        metrics = self.newest.metrics
        return [
            self.name,
            self.status,
            ProgressBar(total=self.total, completed=self.step, width=24),
            f"{self.step}/{self.total}",
            f"{metrics.lr:g}" if metrics else "",
            f"{metrics.loss:.4f}" if metrics else "",
            f"{metrics.top1_error:.2f} %" if metrics else "",
            self.newest.val_text() if self.newest.val else "",
            f"{metrics.images_per_second:,.0f}" if metrics else "",
        ]


class _View:
    def __init__(self, queue: Sequence[QueuedRun]) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._rows = {run.spec.fingerprint(): _Row(run) for run in queue}
        self._began = time.monotonic()
        self._done_before = self._work()

    @contextmanager
    def watch(self, spec: RunSpec, begin: int) -> Iterator[Sink]:
        row = self._rows[spec.fingerprint()]
        # What was done earlier, by another process, says nothing about the speed of this one.
        self._done_before += (begin - row.step) * row.cost
        row.step, row.status = begin, "trains"
        try:
            yield lambda event: self._on_event(row, event)
            row.status = "done"
        except BaseException:
            row.status = "stopped"
            raise
        finally:
            self.changed()

    def _on_event(self, row: _Row, event: Event) -> None:
        row.newest.update(event)
        if isinstance(event, StepDone | FitDone | Stopped | MetricsReady):
            row.step = event.step
        self.changed()

    def _work(self) -> float:
        return sum(row.step * row.cost for row in self._rows.values())

    def _remaining_seconds(self) -> float | None:
        """By multiply-adds; None until enough was seen, and when nothing is left."""
        seconds, done = time.monotonic() - self._began, self._work()
        if seconds < 2 or done <= self._done_before:
            return None
        left = sum((row.total - row.step) * row.cost for row in self._rows.values())
        return seconds * left / (done - self._done_before) if left else None

    def __rich__(self) -> Table:
        remaining = self._remaining_seconds()
        caption = f"together about {format_seconds(remaining)} more" if remaining is not None else ""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), caption=caption, caption_justify="left")
        for head in ("run", "", "bar", "iteration", "lr", "loss", "train error", "val error", "img/s"):
            right = head in ("iteration", "lr", "loss", "train error", "img/s")
            shrinks = head == "bar"  # where the room is small, before any words are cut off
            table.add_column(
                "" if shrinks else head, justify="right" if right else "left", no_wrap=not shrinks
            )
        for row in self._rows.values():
            table.add_row(*row.cells(), style="dim" if row.status == "waits" else None)  # type: ignore[arg-type]
        return table
