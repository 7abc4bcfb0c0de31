"""What a person sees while a net looks at images: a bar on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["eval_progress"]


@contextmanager
def eval_progress(*, unit: str = "views") -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr, gone when done; where stderr is no terminal, none.

    Args:
        unit: what is counted.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn(unit),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("time left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(unit, start=False, visible=False)

        def show(done: int, total: int) -> None:
            if done < progress.tasks[0].completed:  # the next checkpoint begins
                progress.reset(task)
            progress.start_task(task)
            progress.update(task, completed=done, total=total, visible=True)

        yield show
