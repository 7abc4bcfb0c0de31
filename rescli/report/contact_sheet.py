"""A contact sheet: small pictures in rows, with a few lines of text below each, to be read at 100 %."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from rescli.report.fonts import drawable, families_for, picture_font
from rescli.report.shown_figure import ShownFigure

__all__ = ["ENOUGH", "SHORT", "Line", "Tile", "contact_sheet"]

_DPI = 100
_SIDE, _GAP, _MARGIN = 150, 14, 16
"""In pixels: of a picture's square, between two, and around all."""
SHORT = 13
"""Letters of a class's name that leave room for its probability."""
ENOUGH = 3 * _SIDE
"""Pixels of a picture's shorter side that a tile can show; more need not be decoded."""
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
    """A picture and the lines below it.

    Args:
        image: of any size; kept as small as it is drawn.
        lines: below it.
    """

    image: Image.Image
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", _thumbnail(self.image))


def contact_sheet(tiles: Sequence[Tile], *, title: str) -> ShownFigure:
    """Draw the tiles in rows of up to eight, each picture in a square of 150 pixels, its proportions kept.

    Args:
        tiles: in the order of reading.
        title: one line above.

    Returns:
        A figure at 100 pixels an inch; saved as a PNG, one pixel of it is one of the sheet.
    """
    across = max(1, min(_MOST_COLUMNS, math.ceil(math.sqrt(1.6 * len(tiles)))))
    across = max(3, min(across, max(len(tiles), 1)))
    down = max(1, math.ceil(len(tiles) / across))
    lines = max((len(tile.lines) for tile in tiles), default=0)
    cell_height = _SIDE + 4 + lines * _LINE
    pictures_width = across * _SIDE + (across - 1) * _GAP
    families = families_for([title, *(line.text for tile in tiles for line in tile.lines)])
    heavy = len(families) == len(families_for(()))  # another font than the usual one may have one weight
    tiles = tiles if heavy else [Tile(tile.image, tuple(map(_light, tile.lines))) for tile in tiles]
    title_width = min(_width(drawable(title), _TITLE_POINTS, heavy, families), _MOST_COLUMNS * _SIDE)
    width = 2 * _MARGIN + math.ceil(max(pictures_width, title_width))
    height = _MARGIN + _TITLE + down * (cell_height + _GAP)
    figure = ShownFigure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    shown = _fitting(Line(title, bold=heavy), width - 2 * _MARGIN + 1, _TITLE_POINTS, families)
    axes.text(
        _MARGIN,
        _MARGIN,
        shown,
        fontsize=_TITLE_POINTS,
        weight="bold" if heavy else "normal",
        va="top",
        parse_math=False,
        fontfamily=list(families),
        color=_COLORS["plain"],
    )
    for number, tile in enumerate(tiles):
        row, column = divmod(number, across)
        left = _MARGIN + column * (_SIDE + _GAP)
        top = _MARGIN + _TITLE + row * (cell_height + _GAP)
        pixels = np.asarray(tile.image)
        high, wide = pixels.shape[:2]
        x, y = left + (_SIDE - wide) // 2, top + (_SIDE - high) // 2
        axes.imshow(pixels, extent=(x, x + wide, y + high, y), interpolation="nearest", aspect="auto")
        for index, line in enumerate(tile.lines):
            axes.text(
                left + _SIDE / 2,
                top + _SIDE + 6 + index * _LINE,
                _fitting(line, _SIDE + 2, _POINTS, families),
                fontsize=_POINTS,
                weight="bold" if line.bold else "normal",
                color=_COLORS["faint" if line.faint else line.color],
                ha="center",
                va="top",
                parse_math=False,
                fontfamily=list(families),
            )
    # After the pictures, each of which moves the limits to itself.
    axes.set(xlim=(0, width), ylim=(height, 0))
    return figure


def _light(line: Line) -> Line:
    return replace(line, bold=False)


def _thumbnail(image: Image.Image) -> Image.Image:
    """Its longer side 150 pixels; small pictures are enlarged by a whole number."""
    longer = max(image.size)
    if longer * 2 <= _SIDE:
        times = _SIDE // longer
        size = image.width * times, image.height * times
        return image.resize(size, Image.Resampling.NEAREST)
    scale = _SIDE / longer
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _fitting(line: Line, width: float, points: float, families: Sequence[str]) -> str:
    """The text, or as much of it as ``width`` pixels hold, with an ellipsis."""
    text = drawable(line.text)
    if _width(text, points, line.bold, families) <= width:
        return text
    fits, fails = 1, len(text)
    while fails - fits > 1:
        kept = (fits + fails) // 2
        if _width(_shortened(text, kept, line.middle), points, line.bold, families) <= width:
            fits = kept
        else:
            fails = kept
    return _shortened(text, fits, line.middle)


def _shortened(text: str, kept: int, middle: bool) -> str:
    if not middle:
        return f"{text[:kept].rstrip()}…"
    tail = kept // 2
    return f"{text[: kept - tail]}…{text[len(text) - tail :]}"


def _width(text: str, points: float, bold: bool, families: Sequence[str]) -> float:
    """In pixels of the sheet."""
    font = picture_font(families, bold=bold)
    font.set_size(points, _DPI)
    font.set_text(text)
    return font.get_width_height()[0] / 64
