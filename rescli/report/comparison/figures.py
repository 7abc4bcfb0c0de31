"""Curves of several runs in one picture, as Figures 1 and 6."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rescli.foreign_text import readable
from rescli.report.fonts import NAMED, drawable, show_legend
from rescli.report.shown_figure import ShownFigure
from rescli.studies.curves import mean_curve, thinned
from rescli.studies.reproduction import NetCurves

__all__ = ["curves_figure"]

_WINDOWS = 120
"""Points of a training curve."""

_COLORS = ("#1d4e89", "#d1495b", "#2f8f5b", "#e08e1b", "#7b4ea3", "#3aa6b9", "#8a6d3b", "#555555")

_KIND_NAMES = {"plain": "plain nets", "resnet": "ResNets"}


def curves_figure(nets: Sequence[NetCurves], *, title: str | None = None) -> Figure:
    """Training error dashed, validation error bold, against iterations; one colour per depth.

    Plain and residual nets stand in panels of their own, side by side, with one scale of errors. Of several
    seeds the mean is drawn.

    Args:
        nets: at least one.
        title: a sentence above the panels.
    """
    kinds = list(dict.fromkeys(_kind(net) for net in nets))
    depths = list(dict.fromkeys(net.model.rpartition("-")[2] for net in nets))
    figure = ShownFigure(figsize=(4.6 * len(kinds) + 1.2, 4.4), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    highest = 0.0
    twice = len({(net.model, net.label) for net in nets}) > len({net.model for net in nets})
    for number, net in enumerate(nets):
        # Several contenders of one model would share their colour: then each has its own.
        place = number if twice else depths.index(net.model.rpartition("-")[2])
        color = _COLORS[place % len(_COLORS)]
        highest = max(highest, _draw(panels[kinds.index(_kind(net))], net, color))
    for axes, kind in zip(panels, kinds, strict=True):
        axes.set(title=_KIND_NAMES.get(kind, f"{kind} nets"), xlabel="iterations", xlim=(0, None))
        axes.grid(alpha=0.25)
        show_legend(axes)
    panels[0].set(ylabel="error (%): training dashed, validation bold", ylim=(0, min(100.0, 1.08 * highest)))
    if title:
        text = drawable(readable(title)).replace("$", r"\$")
        figure.suptitle(textwrap.fill(text, 60 * len(kinds)), fontsize=9)
    return figure


def _kind(net: NetCurves) -> str:
    return net.model.rpartition("-")[0] or net.model


def _draw(axes: Axes, net: NetCurves, color: str) -> float:
    """The highest error drawn, the first twentieth of the training aside."""
    train = thinned(mean_curve([seed.train for seed in net.seeds]), _WINDOWS)
    val = mean_curve([seed.val for seed in net.seeds])
    axes.plot(*_columns(train), linestyle="--", linewidth=1.1, color=color)
    marker = "o" if len(val) == 1 else None
    axes.plot(*_columns(val), linewidth=2.4, color=color, label=f"{NAMED}{net.label}", marker=marker)
    if not val:
        axes.plot([], [], linestyle="--", color=color, label=f"{NAMED}{net.label}")
    return max((error for _, error in [*train[len(train) // 20 :], *val]), default=0.0)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
