"""Lines of two columns that fit a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap

from rescli.foreign_text import readable

__all__ = ["hanging", "print_hanging", "print_line"]

_NARROW = 20
"""Letters, below which a second column stands under the first."""
_INDENT = 4


def print_line(text: str) -> None:
    """Print one line, whatever line ends are in the names that it holds."""
    print(readable(text))


def print_hanging(head: str, text: str) -> None:
    """Print what ``hanging`` gives."""
    print(hanging(head, text))


def hanging(head: str, text: str) -> str:
    """One line, so that other programs can take it; on a terminal that is too narrow, several.

    Args:
        head: the first column, padded.
        text: what is broken at its spaces, and begins each time where it began.
    """
    head, text = readable(head), readable(text)
    width = _width()
    if width is None or len(head) + len(text) <= width:
        return f"{head}{text}"
    words = {"break_long_words": False, "break_on_hyphens": False}
    longest = max(map(len, text.split()), default=0)
    if width - len(head) >= max(longest, _NARROW):
        return textwrap.fill(text, width, initial_indent=head, subsequent_indent=" " * len(head), **words)  # type: ignore[arg-type]
    indent = " " * _INDENT
    below = textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent, **words)  # type: ignore[arg-type]
    return f"{head.rstrip()}\n{below}" if head.strip() else below


def _width() -> int | None:
    """Letters in a line; None where stdout is no terminal and nobody says how many."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS"):
        return None
    return shutil.get_terminal_size().columns
