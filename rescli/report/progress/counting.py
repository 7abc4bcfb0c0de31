"""What a person sees while a net looks at images: a bar, gone when all were seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rescli.report.progress.screen import Drawing, Lines, choose_screen

__all__ = ["Count", "counting", "counting_bar"]

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
    return nullcontext(_lines(screen, unit)) if isinstance(screen, Lines) else counting_bar(screen, unit, few)


@contextmanager
def counting_bar(screen: Drawing, unit: str = "views", few: int = 0) -> Iterator[Count]:
    """A bar on a screen, for as long as the block lasts.

    Args:
        screen: where it is drawn.
        unit: what is counted.
        few: so many in all are worth no bar.
    """
    bar = Progress(
        TextColumn(unit),
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


def _lines(screen: Lines, unit: str) -> Count:
    said = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= LINE_SECONDS:
            said = time.monotonic()
            screen.say(f"{done}/{total} {unit}")

    return show


def _unseen(_done: int, _total: int) -> None:
    pass
