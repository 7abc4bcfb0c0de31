"""What rich draws, below a cell of a notebook: one output that is replaced, without widgets."""

from __future__ import annotations

import importlib
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import RenderableType
from rich.text import Text

from rescli.report.console import SafeConsole

__all__ = ["Notebook"]

_REFRESH_SECONDS = 0.3
"""A picture is sent through the kernel's socket; a person sees no more of them."""

_WIDTH = 118

_STYLE = "line-height:1.3;margin:0;white-space:pre;font-family:Menlo,'DejaVu Sans Mono',consolas,monospace"
"""Not every page gives ``pre`` a font whose columns stand below each other."""


class _Handle(Protocol):
    def update(self, shown: object) -> None: ...


class Notebook:
    """A screen below the cell: lines and pictures that stay, and at its end one that changes."""

    def __init__(self) -> None:
        self._kept = ""
        self._changing: RenderableType | None = None
        self._handle: _Handle | None = None
        self._drawn = 0.0

    def say(self, text: str) -> None:
        """A line that stays, above what is drawn."""
        self._kept += _html(Text(text))
        self._draw()

    @contextmanager
    def showing(self, renderable: RenderableType, *, transient: bool = False) -> Iterator[Callable[[], None]]:
        """A block in which ``renderable`` is seen; it gives the function to call when that changed."""
        self._changing = renderable
        self._draw()
        try:
            yield self._changed
        finally:
            self._changing = None
            if not transient:
                self._kept += _html(renderable)
            self._draw()

    def _changed(self) -> None:
        if time.monotonic() - self._drawn >= _REFRESH_SECONDS:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        inner = self._kept + (_html(self._changing) if self._changing is not None else "")
        if not inner.strip() and self._handle is None:
            return  # an output once made cannot be taken back
        shown = importlib.import_module("IPython.display")  # there, in a notebook
        picture = shown.HTML(f'<pre style="{_STYLE}">{inner}</pre>')
        if self._handle is None:
            self._handle = shown.display(picture, display_id=True)
        else:
            self._handle.update(picture)


def _html(renderable: RenderableType) -> str:
    console = SafeConsole(
        file=io.StringIO(), record=True, width=_WIDTH, force_jupyter=False, force_terminal=True
    )
    console.print(renderable)
    return console.export_html(inline_styles=True, code_format="{code}")
