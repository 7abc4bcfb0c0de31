"""A contact sheet: small pictures in rows, with a few lines of text below each, to be read at 100 %."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from PIL import Image

from rescli.report.shown_figure import ShownFigure

__all__ = ["Line", "Tile", "contact_sheet"]

_DPI = 100
_SIDE, _GAP, _MARGIN = 150, 14, 16
"""In pixels: of a picture's square, between two, and around all."""
_LINE, _TITLE = 16, 34
"""In pixels: height of a line of text, and of the title with the space below it."""
_POINTS, _TITLE_POINTS = 8.5, 11.0
_MOST_COLUMNS = 8
_COLORS = {"plain": "#222222", "faint": "#777777", "right": "#1b7837", "wrong": "#b2182b"}


@dataclass(frozen=True)
class Line:
    """A line of text below a picture.

    Args:
        text: shortened where it is too long for the picture's width.
        bold: for what is to be read first.
        faint: for what is to be read last.
        color: ``right`` green, ``wrong`` red, or ``plain``.
        middle: shorten in the middle, as file names want it, not at the end.
    """

    text: str
    bold: bool = False
    faint: bool = False
    color: str = "plain"
    middle: bool = False


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture and the lines below it."""

    image: Image.Image
    lines: tuple[Line, ...]


def contact_sheet(tiles: Sequence[Tile], *, title: str, columns: int | None = None) -> Figure:
    """Draw the tiles in rows, each picture in a square of 150 pixels with its own proportions kept.

    Args:
        tiles: in the order of reading.
        title: one line above.
        columns: pictures in a row; None for up to eight, fewer where there are few.

    Returns:
        A figure at 100 pixels an inch; saved as a PNG, one pixel of it is one of the sheet.
    """
    across = max(1, min(_MOST_COLUMNS, math.ceil(math.sqrt(1.6 * len(tiles)))))
    across = across if columns is None else columns
    across = max(3, min(across, max(len(tiles), 1)))
    down = max(1, math.ceil(len(tiles) / across))
    lines = max((len(tile.lines) for tile in tiles), default=0)
    cell_height = _SIDE + 4 + lines * _LINE
    pictures_width = across * _SIDE + (across - 1) * _GAP
    title_width = min(_width(_drawable(title), _TITLE_POINTS, bold=True), _MOST_COLUMNS * _SIDE)
    width = 2 * _MARGIN + math.ceil(max(pictures_width, title_width))
    height = _MARGIN + _TITLE + down * (cell_height + _GAP)
    figure = ShownFigure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    shown = _fitting(Line(title, bold=True), width - 2 * _MARGIN + 1, _TITLE_POINTS)
    axes.text(
        _MARGIN,
        _MARGIN,
        shown,
        fontsize=_TITLE_POINTS,
        weight="bold",
        va="top",
        parse_math=False,
        color=_COLORS["plain"],
    )
    for number, tile in enumerate(tiles):
        row, column = divmod(number, across)
        left = _MARGIN + column * (_SIDE + _GAP)
        top = _MARGIN + _TITLE + row * (cell_height + _GAP)
        pixels = _thumbnail(tile.image)
        high, wide = pixels.shape[:2]
        x, y = left + (_SIDE - wide) // 2, top + (_SIDE - high) // 2
        axes.imshow(pixels, extent=(x, x + wide, y + high, y), interpolation="nearest", aspect="auto")
        for index, line in enumerate(tile.lines):
            axes.text(
                left + _SIDE / 2,
                top + _SIDE + 6 + index * _LINE,
                _fitting(line, _SIDE + 2, _POINTS),
                fontsize=_POINTS,
                weight="bold" if line.bold else "normal",
                color=_COLORS["faint" if line.faint else line.color],
                ha="center",
                va="top",
                parse_math=False,
            )
    # After the pictures, each of which moves the limits to itself.
    axes.set(xlim=(0, width), ylim=(height, 0))
    return figure


def _thumbnail(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """uint8 (h, w, 3), the longer side 150 pixels; small pictures are enlarged by a whole number."""
    longer = max(image.size)
    if longer * 2 <= _SIDE:
        times = _SIDE // longer
        size = image.width * times, image.height * times
        return np.asarray(image.resize(size, Image.Resampling.NEAREST))
    scale = _SIDE / longer
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))


def _fitting(line: Line, width: float, points: float) -> str:
    """The text, or as much of it as ``width`` pixels hold, with an ellipsis."""
    text = _drawable(line.text)
    if _width(text, points, line.bold) <= width:
        return text
    fits, fails = 1, len(text)
    while fails - fits > 1:
        kept = (fits + fails) // 2
        if _width(_shortened(text, kept, line.middle), points, line.bold) <= width:
            fits = kept
        else:
            fails = kept
    return _shortened(text, fits, line.middle)


def _shortened(text: str, kept: int, middle: bool) -> str:
    if not middle:
        return f"{text[:kept].rstrip()}…"
    tail = kept // 2
    return f"{text[: kept - tail]}…{text[len(text) - tail :]}"


def _width(text: str, points: float, bold: bool) -> float:
    """In pixels of the sheet."""
    font = _font(bold)
    font.set_size(points, _DPI)
    font.set_text(text)
    return font.get_width_height()[0] / 64


def _drawable(text: str) -> str:
    """Names of files and classes as the font can draw them; what it cannot becomes a small box."""
    font = _font(bold=False)
    return "".join(char if char.isprintable() and font.get_char_index(ord(char)) else "▫" for char in text)


@cache
def _font(bold: bool) -> FT2Font:
    wanted = FontProperties(weight="bold" if bold else "normal")
    return font_manager.get_font(font_manager.findfont(wanted))
