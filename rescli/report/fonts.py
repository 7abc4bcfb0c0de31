"""Names of classes and files in pictures: which font has their letters, and a number where none has."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font

from rescli.foreign_text import readable

__all__ = [
    "NAMED",
    "PictureNames",
    "can_draw",
    "drawable",
    "families_for",
    "file_names",
    "picture_font",
    "picture_names",
    "shortened",
    "show_legend",
]

_NO_LETTERS = "Last Resort"
"""A font of boxes, which has one for every letter there is."""

_LEAST_SHAPING = (3, 11)
"""Versions of matplotlib before it set letters one after the other, from left to right."""

_JOINED = (
    *("ARABIC", "BENGALI", "DEVANAGARI", "GUJARATI", "GURMUKHI", "HEBREW", "KANNADA", "KHMER", "LAO"),
    *("MALAYALAM", "MONGOLIAN", "MYANMAR", "ORIYA", "SINHALA", "SYRIAC", "TAMIL", "TELUGU", "THAI"),
    *("THAANA", "TIBETAN"),
)
"""Scripts that run from right to left, or whose letters change with their neighbours."""

_INVISIBLE = "\u200c\u200d\ufe0f"
"""They say how their neighbours look, and need no shape of their own."""

_LONGEST = 24

NAMED = "name "
"""What stands before a name in a label that ``show_legend`` draws."""


@dataclass(frozen=True)
class PictureNames:
    """What stands in a picture for each of several names.

    Args:
        labels: in the order of the names: cut where they are long, ``#3`` where no font has the letters.
        families: fonts to draw them with, the usual one first.
        legend: ``#3 name`` for each number, to be said beside the picture.
    """

    labels: tuple[str, ...]
    families: tuple[str, ...]
    legend: tuple[str, ...]


def picture_names(names: Sequence[str], *, longest: int = _LONGEST) -> PictureNames:
    """The names as a picture can show them, each another one.

    Args:
        names: of any script, with any signs in them.
        longest: letters, above which a name is cut in its middle.
    """
    shown = [readable(name) for name in names]
    drawn = [name if can_draw(name) else None for name in shown]
    cut = [None if name is None else shortened(name, longest) for name in drawn]
    twice = {label for label in cut if label is not None and cut.count(label) > 1}
    labels = tuple(
        f"#{number}" if label is None else f"{label} #{number}" if label in twice else label
        for number, label in enumerate(cut)
    )
    legend = [f"#{number} {shown[number]}" for number, label in enumerate(labels) if label != shown[number]]
    return PictureNames(
        labels, families_for(labels), tuple(line for line in legend if _is_said(line, labels))
    )


def file_names(names: Sequence[str]) -> PictureNames:
    """As ``picture_names``, of files: none is cut, and the numbers are not those of classes.

    Args:
        names: of files, without their folders.
    """
    shown = [readable(name) for name in names]
    labels = tuple(
        name if can_draw(name) else f"file #{number}" for number, name in enumerate(shown, start=1)
    )
    legend = [f"{label} {name}" for label, name in zip(labels, shown, strict=True) if label != name]
    return PictureNames(labels, families_for(labels), tuple(legend))


def _is_said(line: str, labels: Sequence[str]) -> bool:
    """Whether the number of a legend's line stands in the picture: a name that is cut needs none."""
    number = line.partition(" ")[0]
    return labels[int(number[1:])].endswith(number)


def shortened(text: str, longest: int) -> str:
    """The text with an ellipsis in its middle where it is longer."""
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return f"{text[: longest - 1 - tail]}…{text[len(text) - tail :]}"


def can_draw(text: str) -> bool:
    """Whether installed fonts have all letters of a text, and matplotlib can set them as they are read."""
    return all(_family_of(letter) is not None for letter in text) and (
        _shapes() or not any(_is_joined(letter) for letter in text)
    )


def drawable(text: str) -> str:
    """A text with a small box for each letter that no font has."""
    return "".join(letter if letter.isprintable() and can_draw(letter) else "▫" for letter in text)


def families_for(texts: Iterable[str]) -> tuple[str, ...]:
    """Fonts that together have the letters of all texts, to be tried in this order."""
    usual = FontProperties().get_family()
    found = dict.fromkeys(_family_of(letter) for letter in sorted(set("".join(texts))))
    return (*usual, *(family for family in found if family))


def show_legend(axes: Axes) -> None:
    """The legend of lines whose labels begin with ``NAMED``, in the fonts that their letters need.

    matplotlib itself leaves out what begins with an underscore, and takes dollars for mathematics.
    """
    legend = axes.legend(frameon=False)
    for text in legend.get_texts():
        name = drawable(shortened(readable(text.get_text().removeprefix(NAMED)), 2 * _LONGEST))
        text.set_parse_math(False)
        text.set_text(name)
        text.set_fontfamily(list(families_for([name])))


def picture_font(families: Sequence[str], *, bold: bool = False) -> FT2Font:
    """The font that measures texts as they will be drawn.

    Args:
        families: what ``families_for`` gives.
        bold: of the usual one alone; many another has no such weight.
    """
    weight = "bold" if bold else "normal"
    paths = [font_manager.findfont(FontProperties(family=[name], weight=weight)) for name in families]
    return font_manager.get_font(tuple(dict.fromkeys(paths)))


@cache
def _family_of(letter: str) -> str | None:
    """A font that has the letter; empty for the usual one, None where no font has it."""
    if letter in _INVISIBLE or ord(letter) in _letters(tuple(FontProperties().get_family())):
        return ""
    return next((name for name in _installed() if ord(letter) in _letters((name,))), None)


@cache
def _installed() -> tuple[str, ...]:
    """Names of the upright fonts of usual weight, those without serifs first."""
    names = {
        font.name
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and font.weight in (400, "normal") and _NO_LETTERS not in font.name
    }
    return tuple(sorted(names, key=lambda name: ("Sans" not in name, name)))


@cache
def _letters(family: tuple[str, ...]) -> frozenset[int]:
    try:
        path = font_manager.findfont(FontProperties(family=list(family)))
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):  # a font that is gone, or of pictures alone
        return frozenset()


def _shapes() -> bool:
    version = matplotlib.__version_info__
    return (version.major, version.minor) >= _LEAST_SHAPING


def _is_joined(letter: str) -> bool:
    return unicodedata.name(letter, "").partition(" ")[0] in _JOINED
