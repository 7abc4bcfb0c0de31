"""Where progress is shown: in one place that is redrawn, on a terminal and in a notebook; as lines elsewhere.

On a terminal it goes to stderr, always.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from rescli.report.messages import drop_stderr, say
from rescli.report.progress.notebook import Notebook

__all__ = ["Drawing", "Lines", "choose_screen"]


class Drawing(Protocol):
    """A screen on which something can be drawn anew."""

    def say(self, text: str) -> None:
        """A line that stays, above what is drawn."""

    def showing(
        self, renderable: RenderableType, *, transient: bool = False
    ) -> AbstractContextManager[Callable[[], None]]:
        """A block in which ``renderable`` is seen; it gives the function to call when that changed.

        Args:
            renderable: with a ``__rich__`` that says how it looks now.
            transient: gone when the block ends.
        """


class Lines:
    """A screen that takes nothing but lines: a pipe, a file."""

    def say(self, text: str) -> None:
        """A line."""
        say(text)


class _Terminal:
    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        try:
            self._console.print(Text(text), soft_wrap=True)
        except (OSError, ValueError):  # nobody reads any more: the work goes on
            drop_stderr()

    @contextmanager
    def showing(self, renderable: RenderableType, *, transient: bool = False) -> Iterator[Callable[[], None]]:
        with Live(renderable, console=self._console, refresh_per_second=8, transient=transient):
            yield lambda: None  # a thread draws


def choose_screen(progress: bool | None) -> Drawing | Lines | None:
    """The screen there is; None to show nothing.

    Args:
        progress: True to see it in any case, if need be as lines; False not to; None where it can be drawn.
    """
    console = Console(stderr=True)
    if progress is False:
        return None
    if console.is_jupyter:
        return Notebook()
    if console.is_terminal and not console.is_dumb_terminal:
        return _Terminal(console)
    return Lines() if progress else None
