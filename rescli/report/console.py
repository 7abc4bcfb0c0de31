"""Where rich prints: its own signs pass, and none of those that a text brings along."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import Style

from rescli.foreign_text import terminal_text
from rescli.report.messages import beneath

__all__ = ["SafeConsole"]


class SafeConsole(Console):
    """A console that shows texts letter by letter: no markup, no emoji by name, no escape sequences.

    Args:
        given: as rich's ``Console`` takes it.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **given})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a text or a table; those of rich's own control stay as they are."""
        for text, style, control in super().render(renderable, options):
            if control:
                yield Segment(text, style, control)
            else:
                yield Segment(terminal_text(text), _without_link(style))

    @property
    def file(self) -> IO[str]:
        """The stream itself, below what takes escape sequences from it."""
        return beneath(super().file)

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file


def _without_link(style: Style | None) -> Style | None:
    return style.update_link(None) if style is not None and style.link else style
