"""Pictures of runs, by matplotlib without a window."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rescli.report.shown_figure import ShownFigure
from rescli.studies.curves import Point, RunCurves, thinned

__all__ = ["as_bytes", "confusion_figure", "curves_png", "responses_figure", "run_figure"]

MAX_POINTS = 200
"""Points of a training curve."""

_MOST_COUNTED, _MOST_NAMED = 20, 100
"""Classes of a confusion matrix up to which counts, and names, can be read."""


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
    axes.set(title=title, xlabel="iterations", ylabel="error (%)", xlim=(0, None))
    axes.set_ylim(0, _upper_limit([error for _, error in train[len(train) // 20 :] + val]))
    axes.xaxis.set_major_formatter(FuncFormatter(_short_count))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return figure


def confusion_figure(counts: Sequence[Sequence[int]], class_names: Sequence[str], *, title: str) -> Figure:
    """The confusion matrix as a picture: rows the true classes, columns the predicted ones.

    The colour is the share of the row's images; up to 20 classes the counts are written in.

    Args:
        counts: (K, K) images, by true and predicted class.
        class_names: K.
        title: above the picture.
    """
    size = len(class_names)
    side = min(12.0, max(4.8, 0.5 * size + 2))
    figure = ShownFigure(figsize=(side + 0.8, side), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    shares = [[100 * count / max(1, sum(row)) for count in row] for row in counts]
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=100))
    figure.colorbar(image, ax=axes, label="% of the true class", shrink=0.8)
    axes.set(title=_plain(title), xlabel="predicted class", ylabel="true class")
    class_names = [_plain(name) for name in class_names]
    if size <= _MOST_NAMED:
        fontsize = 8 if size <= _MOST_COUNTED else 5
        axes.set_xticks(range(size), class_names, rotation=60, ha="right", fontsize=fontsize)
        axes.set_yticks(range(size), class_names, fontsize=fontsize)
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
        above.plot(layers, stds, marker=".", markersize=4, label=name, **style)
        below.plot(layers, sorted(stds, reverse=True), marker=".", markersize=4, label=name, **style)
    above.set(xlabel="layer, in the order of the net", ylabel="std", ylim=(0, None))
    below.set(xlabel="layer, sorted by its std", ylabel="std", ylim=(0, None))
    for axes in (above, below):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    return figure


def _plain(text: str) -> str:
    """Names of folders and files as text: no mathematics, and nothing that cannot be drawn."""
    return text.encode("utf-8", "backslashreplace").decode().replace("$", r"\$")


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _upper_limit(errors: Sequence[float]) -> float:
    """Room for the curves, and never a picture in which 1 % looks like a lot."""
    return min(100.0, max([20.0, *(1.08 * error for error in errors)]))


def _short_count(value: float, _position: int) -> str:
    return f"{value / 1000:g}k" if value >= 10000 else f"{value:g}"
