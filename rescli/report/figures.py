"""Pictures of runs, by matplotlib without a window."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rescli.foreign_text import readable
from rescli.report.fonts import NAMED, drawable, picture_names, shortened, show_legend
from rescli.report.shown_figure import ShownFigure
from rescli.studies.curves import Point, RunCurves, thinned

__all__ = ["as_bytes", "confusion_figure", "curves_png", "responses_figure", "run_figure"]

MAX_POINTS = 200
"""Points of a training curve."""

_MOST_COUNTED, _MOST_NAMED = 20, 100
"""Classes of a confusion matrix up to which counts, and names, can be read."""
_MOST_CELLS = 250
"""Cells across a matrix; a pixel of a finer one would not be seen."""
_MOST_LISTED = 30
"""Pairs of confused classes that are listed beside a matrix without names."""


def as_bytes(figure: Figure, format: str) -> bytes:
    """The picture as a file's content; ``format`` is png, svg or pdf."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format)
    return buffer.getvalue()


def curves_png(rows: Sequence[Mapping[str, Any]], *, title: str) -> bytes:
    """The curves of one run as a PNG; see ``run_figure``.

    Args:
        rows: of its metrics.jsonl, in order.
        title: above the picture.
    """
    return as_bytes(run_figure(RunCurves.of_rows(rows), title=title), "png")


def run_figure(curves: RunCurves, *, title: str) -> Figure:
    """The curves of one run as in Figure 6: training error dashed, validation error bold, by iterations."""
    figure = ShownFigure(figsize=(6.4, 4.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    train, val = thinned(curves.train, MAX_POINTS), list(curves.val)
    marker = "o" if len(val) < 3 else None
    axes.plot(*_columns(train), linestyle="--", linewidth=1.2, color="#d1495b", label="train")
    label = f"val, {val[-1][1]:.2f} % at the end" if val else "val"
    axes.plot(*_columns(val), linewidth=2.4, color="#1d4e89", marker=marker, label=label)
    axes.set(xlabel="iterations", ylabel="error (%)", xlim=(0, None))
    axes.set_title(drawable(readable(title)), parse_math=False)
    axes.set_ylim(0, _upper_limit([error for _, error in train[len(train) // 20 :] + val]))
    axes.xaxis.set_major_formatter(FuncFormatter(_short_count))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return figure


def confusion_figure(counts: Sequence[Sequence[int]], class_names: Sequence[str], *, title: str) -> Figure:
    """The confusion matrix as a picture: rows the true classes, columns the predicted ones.

    The colour is the share of the row's images. Up to 20 classes the counts are written in, up to 100 the
    names stand beside it; of more, the classes that are most often confused are listed beside it.

    Args:
        counts: (K, K) images, by true and predicted class.
        class_names: K.
        title: above the picture.
    """
    size = len(class_names)
    side = min(12.0, max(4.8, 0.5 * size + 2))
    named = size <= _MOST_NAMED
    figure = ShownFigure(figsize=(side + (0.8 if named else 4.8), side), dpi=150, layout="constrained")
    names = picture_names(class_names)
    figure.legend_lines = names.legend
    text: dict[str, Any] = {"parse_math": False, "fontfamily": list(names.families)}
    if named:
        axes = figure.add_subplot()
    else:
        axes, beside = figure.subplots(1, 2, width_ratios=(3, 1))
        beside.set_axis_off()
        beside.text(0, 1, _most_confused(counts, names.labels), va="top", fontsize=8, linespacing=1.5, **text)
    shares = [[100 * count / max(1, sum(row)) for count in row] for row in counts]
    block = -(-size // _MOST_CELLS)
    image = axes.imshow(
        _largest(shares, block),
        cmap="Blues",
        norm=PowerNorm(0.5, vmin=0, vmax=100),
        interpolation="nearest",  # none of the cells may get lost between two pixels
        extent=(-0.5, -(-size // block) * block - 0.5, -(-size // block) * block - 0.5, -0.5),
    )
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    of_each = f", the largest of {block}×{block} classes" if block > 1 else ""
    figure.colorbar(image, ax=axes, label=f"% of the true class{of_each}", shrink=0.8)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title(drawable(shortened(readable(title), 120)), parse_math=False, wrap=True)
    if named:
        text["fontsize"] = 8 if size <= _MOST_COUNTED else 5
        axes.set_xticks(range(size), names.labels, rotation=60, ha="right", rotation_mode="anchor", **text)
        axes.set_yticks(range(size), names.labels, **text)
    else:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
    if size <= _MOST_COUNTED:
        for y, row in enumerate(counts):
            for x, count in enumerate(row):
                color = "white" if shares[y][x] > 50 else "black"
                axes.text(x, y, str(count), ha="center", va="center", fontsize=7, color=color)
    return figure


def responses_figure(lines: Sequence[tuple[str, Sequence[float]]]) -> Figure:
    """Figure 7: standard deviations of layer responses, in the order of the layers above, sorted below.

    Args:
        lines: (name of the net, one standard deviation a layer).
    """
    figure = ShownFigure(figsize=(7.2, 5.4), dpi=150, layout="constrained")
    above, below = figure.subplots(2, 1)
    for name, stds in lines:
        layers = range(1, len(stds) + 1)
        style = {"linestyle": "--" if name.startswith("plain") else "-", "linewidth": 1.4}
        above.plot(layers, stds, marker=".", markersize=4, label=f"{NAMED}{name}", **style)
        below.plot(
            layers, sorted(stds, reverse=True), marker=".", markersize=4, label=f"{NAMED}{name}", **style
        )
    above.set(xlabel="layer, in the order of the net", ylabel="std", ylim=(0, None))
    below.set(xlabel="layer, sorted by its std", ylabel="std", ylim=(0, None))
    for axes in (above, below):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        show_legend(axes)
    return figure


def _largest(shares: Sequence[Sequence[float]], block: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The largest share of each square of ``block`` by ``block`` cells."""
    size = len(shares)
    across = -(-size // block)
    whole = np.zeros((across * block, across * block))
    whole[:size, :size] = shares
    return np.asarray(whole.reshape(across, block, across, block).max((1, 3)), dtype=np.float64)


def _most_confused(counts: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """The pairs of a true and a predicted class that hold the most mistakes, a line each."""
    mistakes = [
        (count, true, predicted)
        for true, row in enumerate(counts)
        for predicted, count in enumerate(row)
        if count and true != predicted
    ]
    mistakes.sort(key=lambda mistake: (-mistake[0], mistake[1:]))
    lines = [
        f"{count} of {sum(counts[true])}  {true} {names[true]}\n      as {predicted} {names[predicted]}"
        for count, true, predicted in mistakes[:_MOST_LISTED]
    ]
    return "\n".join(["most often confused (true class, as which):", *(lines or ["none"])])


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _upper_limit(errors: Sequence[float]) -> float:
    """Room for the curves, and never a picture in which 1 % looks like a lot."""
    return min(100.0, max([20.0, *(1.08 * error for error in errors)]))


def _short_count(value: float, _position: int) -> str:
    return f"{value / 1000:g}k" if value >= 10000 else f"{value:g}"
