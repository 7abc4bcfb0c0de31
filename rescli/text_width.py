"""How wide a text is on a terminal."""

from __future__ import annotations

import unicodedata

__all__ = ["cell_width", "padded"]


def cell_width(text: str) -> int:
    """Columns of a terminal that a text takes: Chinese letters take two, accents that combine none."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def padded(text: str, width: int) -> str:
    """The text with blanks behind it, ``width`` columns of a terminal in all."""
    return text + " " * (width - cell_width(text))
