"""What rich draws, in a cell of a notebook: one output that is replaced, without widgets."""

from __future__ import annotations

import importlib
import io
import time
from typing import Protocol, Self

from rich.console import Console, RenderableType

__all__ = ["NotebookLive"]

_REFRESH_SECONDS = 0.3
"""A picture is sent through the kernel's socket; a person sees no more of them."""

_WIDTH = 118


class _Handle(Protocol):
    def update(self, shown: object) -> None: ...


class NotebookLive:
    """Shows a renderable below the cell and replaces it, as ``rich.live.Live`` does on a terminal."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable
        self._lines: list[str] = []
        self._handle: _Handle | None = None
        self._shown = 0.0

    def __enter__(self) -> Self:
        shown = importlib.import_module("IPython.display")  # there, in a notebook
        self._html = shown.HTML
        self._handle = shown.display(self._picture(), display_id=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._show()

    def print(self, text: str) -> None:
        """Put a line above what is shown, where it stays."""
        self._lines.append(text)
        self._show()

    def update(self, renderable: RenderableType, *, refresh: bool = False) -> None:
        """Show another renderable from now on."""
        self._renderable = renderable
        if refresh:
            self._show()
        else:
            self.refresh()

    def refresh(self) -> None:
        """Draw it anew, unless it was drawn just now."""
        if time.monotonic() - self._shown >= _REFRESH_SECONDS:
            self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        if self._handle is not None:
            self._handle.update(self._picture())

    def _picture(self) -> object:
        console = Console(
            file=io.StringIO(), record=True, width=_WIDTH, force_jupyter=False, force_terminal=True
        )
        for line in self._lines:
            console.print(line, markup=False, highlight=False)
        console.print(self._renderable)
        frame = '<pre style="line-height:1.3;margin:0;white-space:pre">{code}</pre>'
        return self._html(console.export_html(inline_styles=True, code_format=frame))
