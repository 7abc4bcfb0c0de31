"""What a person sees while a net looks at images: a bar, gone when all were seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rescli.durations import format_seconds
from rescli.report.progress.screen import Drawing, Lines, choose_screen

__all__ = ["Count", "count_text", "counting", "counting_bar", "counting_lines"]

Count = Callable[[int, int], None]
"""Called with (done, in all)."""

LINE_SECONDS = 10.0


def counting(
    progress: Count | bool | None, *, unit: str = "views", few: int = 0
) -> AbstractContextManager[Count]:
    """A block whose function shows how many were done.

    Args:
        progress: True for a bar, or lines where nothing can be drawn; False for nothing; None for a bar on a
            terminal and in a notebook; or a function, which is called as it is.
        unit: what is counted.
        few: so many in all are worth no bar.
    """
    if callable(progress):
        return nullcontext(progress)
    screen = choose_screen(progress)
    if screen is None:
        return nullcontext(_unseen)
    return (
        nullcontext(counting_lines(unit, screen.say))
        if isinstance(screen, Lines)
        else counting_bar(screen, unit, few)
    )


@contextmanager
def counting_bar(screen: Drawing, unit: str = "views", few: int = 0) -> Iterator[Count]:
    """A bar on a screen, for as long as the block lasts.

    Args:
        screen: where it is drawn.
        unit: what is counted.
        few: so many in all are worth no bar.
    """
    bar = Progress(
        TextColumn(unit, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("time left"),
        TimeRemainingColumn(),
    )
    task = bar.add_task(unit, start=False, visible=False)
    with screen.showing(bar, transient=True) as changed:

        def show(done: int, total: int) -> None:
            if total <= few:
                return
            if done < bar.tasks[0].completed:  # the next checkpoint begins
                bar.reset(task)
            bar.start_task(task)
            bar.update(task, completed=done, total=total, visible=True)
            changed()

        yield show


def count_text(done: int, total: int, seconds: float, unit: str) -> str:
    """``320/1000 images  15.2 images/s  ETA 45 s``: how many, how fast, how long it will take.

    Args:
        done: so many were seen.
        total: of so many.
        seconds: since the first one; below one, nothing is said of the speed.
        unit: what is counted.
    """
    if seconds < 1 or not done:
        return f"{done}/{total} {unit}"
    left = format_seconds((total - done) * seconds / done)
    return f"{done}/{total} {unit}  {done / seconds:,.1f} {unit}/s  ETA {left}"


def counting_lines(unit: str = "views", say: Callable[[str], None] | None = None) -> Count:
    """A function that says, every ten seconds, how many were done: for logs.

    Args:
        unit: what is counted.
        say: called with each line; None for lines on stderr.
    """
    say = say or Lines().say
    began = said = time.monotonic()
    before = 0

    def show(done: int, total: int) -> None:
        nonlocal began, said, before
        now = time.monotonic()
        if done < before:  # the next net begins
            began = now
        before = done
        if now - said >= LINE_SECONDS:
            said = now
            say(count_text(done, total, now - began, unit))

    return show


def _unseen(_done: int, _total: int) -> None:
    pass
