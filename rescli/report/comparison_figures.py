"""Curves of several runs in one picture, as Figures 1 and 6."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["curves_figure"]

_WINDOWS = 120
"""Training windows are averaged down to this many points: the curve, not its noise, is what is read."""

_COLORS = ("#1d4e89", "#d1495b", "#2f8f5b", "#e08e1b", "#7b4ea3", "#3aa6b9", "#8a6d3b", "#555555")


def curves_figure(
    lines: Sequence[tuple[str, str, Sequence[Sequence[Mapping[str, Any]]]]], *, format: str
) -> bytes:
    """Training error dashed, validation error bold, against iterations; one colour per depth.

    Plain and residual nets stand in panels of their own, side by side, with one scale of errors. Of several
    seeds the mean is drawn.

    Args:
        lines: (label, model name, per seed the rows of its metrics.jsonl).
        format: png, svg or pdf.
    """
    kinds = list(dict.fromkeys(model.rpartition("-")[0] or model for _, model, _ in lines))
    depths = list(dict.fromkeys(model.rpartition("-")[2] for _, model, _ in lines))
    figure = Figure(figsize=(4.6 * len(kinds) + 1.2, 4.4), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    highest = 0.0
    twice = len({(model, label) for label, model, _ in lines}) > len({model for _, model, _ in lines})
    for number, (label, model, logs) in enumerate(lines):
        axes = panels[kinds.index(model.rpartition("-")[0] or model)]
        # Several contenders of one model would share their colour: then each has its own.
        place = number if twice else depths.index(model.rpartition("-")[2])
        highest = max(highest, _draw(axes, label, logs, _COLORS[place % len(_COLORS)]))
    for axes, kind in zip(panels, kinds, strict=True):
        axes.set(title=f"{kind} nets", xlabel="iterations", xlim=(0, None))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    panels[0].set(ylabel="error (%): training dashed, validation bold", ylim=(0, min(100.0, 1.08 * highest)))
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format)
    return buffer.getvalue()


def _draw(axes: Axes, label: str, logs: Sequence[Sequence[Mapping[str, Any]]], color: str) -> float:
    """The highest error drawn, the first twentieth of the training aside."""
    train_x, train_y = _mean_curve(logs, "train")
    val_x, val_y = _mean_curve(logs, "val")
    if len(train_x) > _WINDOWS:
        parts = np.array_split(np.arange(len(train_x)), _WINDOWS)
        train_x = np.array([train_x[part[-1]] for part in parts])
        train_y = np.array([train_y[part].mean() for part in parts])
    axes.plot(train_x, train_y, linestyle="--", linewidth=1.1, color=color)
    axes.plot(val_x, val_y, linewidth=2.4, color=color, label=label, marker="o" if len(val_x) == 1 else None)
    if len(val_x) == 0:
        axes.plot([], [], linestyle="--", color=color, label=label)
    later = np.concatenate([train_y[len(train_y) // 20 :], val_y])
    return float(later.max()) if len(later) else 0.0


def _mean_curve(logs: Sequence[Sequence[Mapping[str, Any]]], event: str) -> tuple[Any, Any]:
    """Iterations that every seed has, and the mean error there."""
    curves = [{row["iteration"]: row["top1_error"] for row in rows if row["event"] == event} for rows in logs]
    there = sorted(set.intersection(*(set(curve) for curve in curves)))
    errors = [float(np.mean([curve[step] for curve in curves])) for step in there]
    return np.array(there), np.array(errors)
