"""Line charts as pixel coordinates: what a page draws as inline SVG. No drawing library, no numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Chart", "Line", "line_chart"]

WIDTH, HEIGHT = 640.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 12.0, 40.0


@dataclass(frozen=True)
class Line:
    """A line to be drawn.

    Args:
        label: its name in the legend.
        color: index of the page's palette, from 0.
        points: (x, y) in the units of the data.
        dashed: whether it is dashed.
    """

    label: str
    color: int
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    tip: str


@dataclass(frozen=True)
class DrawnLine:
    label: str
    color: int
    dashed: bool
    path: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Chart:
    """Everything in pixels of a WIDTH x HEIGHT view box; ticks are (pixel, text)."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[DrawnLine, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def line_chart(
    title: str, lines: Sequence[Line], *, x_label: str, y_label: str, unit: str = "", x_from: float = 0.0
) -> Chart:
    """Axes from ``x_from`` and 0 to the highest value. Lines without points are left out."""
    lines = [line for line in lines if line.points]
    highest_x = max((x for line in lines for x, _ in line.points), default=1.0)
    highest_y = max((y for line in lines for _, y in line.points), default=1.0) * 1.05
    if highest_x <= x_from:
        highest_x = x_from + 1
    highest_y = highest_y or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - x_from) / (highest_x - x_from) * (WIDTH - LEFT - RIGHT)
        up = HEIGHT - BOTTOM - y / highest_y * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(up, 1)

    drawn = []
    for line in lines:
        places = [place(x, y) for x, y in line.points]
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in places)
        dots = tuple(
            Dot(px, py, f"{line.label}: {y:.4g}{unit} at {x_label} {x:g}")
            for (px, py), (x, y) in zip(places, line.points, strict=True)
        )
        drawn.append(DrawnLine(line.label, line.color, line.dashed, path, dots))
    return Chart(
        title,
        x_label,
        y_label,
        tuple(drawn),
        tuple((place(x, 0)[0], _short(x)) for x in _ticks(x_from, highest_x)),
        tuple((place(x_from, y)[1], _short(y)) for y in _ticks(0, highest_y)),
    )


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers from ``low`` to ``high``."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [round(step * number, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10000 else f"{value:g}"
