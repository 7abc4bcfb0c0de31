"""Where progress is shown: in one place that is redrawn, on a terminal and in a notebook; as lines elsewhere.

On a terminal it goes to stderr, always.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from rescli.report.console import SafeConsole
from rescli.report.messages import say
from rescli.report.progress.notebook import Notebook

__all__ = ["Drawing", "Lines", "choose_screen"]


_BROKEN = (OSError, ValueError)
"""Nobody reads any more: a closed pipe, a full or closed device. The work goes on."""


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

    def __init__(self) -> None:
        self._broken = False

    def say(self, text: str) -> None:
        """A line."""
        if not self._broken:
            try:
                say(text)
            except _BROKEN:
                self._broken = True


class _Console(SafeConsole):
    """Falls silent where nobody reads; rich would end the process, with stdout thrown away."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class _Terminal:
    def __init__(self, console: SafeConsole) -> None:
        self._console = console

    def say(self, text: str) -> None:
        try:
            self._console.print(Text(text), soft_wrap=True)
        except _BROKEN:
            self._console.quiet = True

    @contextmanager
    def showing(self, renderable: RenderableType, *, transient: bool = False) -> Iterator[Callable[[], None]]:
        live = Live(renderable, console=self._console, refresh_per_second=8, transient=transient)
        try:
            live.__enter__()
        except _BROKEN:
            self._console.quiet = True
            yield lambda: None
            return
        try:
            yield lambda: None  # a thread draws
        finally:
            try:
                live.__exit__(*sys.exc_info())
            except _BROKEN:
                self._console.quiet = True


def choose_screen(progress: bool | None) -> Drawing | Lines | None:
    """The screen there is; None to show nothing.

    Args:
        progress: True to see it in any case, if need be as lines; False not to; None where it can be drawn.
    """
    console = _Console(stderr=True)
    if progress is False:
        return None
    if console.is_jupyter:
        return Notebook()
    if console.is_terminal and not console.is_dumb_terminal:
        return _Terminal(console)
    return Lines() if progress else None
