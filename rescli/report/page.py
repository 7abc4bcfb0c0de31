"""A comparison as one HTML file that needs nothing else: no network, no script from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rescli.report.charts import Chart, Line, line_chart

__all__ = ["comparison_page"]

_POINTS = 60
"""Training windows are averaged down to this many points, as many as a mouse can hit."""

Rows = Sequence[Mapping[str, Any]]


def comparison_page(result: Mapping[str, Any], logs: Mapping[str, Sequence[Rows]]) -> str:
    """Tables that sort, curves and layer responses that tell their values, the verdicts; light and dark.

    Args:
        result: as compare.json holds it. logs: per label the rows of metrics.jsonl of each seed.
    """
    environment = Environment(
        loader=PackageLoader("rescli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"error": _error, "number": _number, "p_value": _p_value}
    texts = {name: environment.get_template(f"compare.{name}").render() for name in ("css", "js")}
    return environment.get_template("compare.html").render(
        result=result,
        charts=_charts(result, logs),
        labels=[one["label"] for one in result["contenders"]],
        splits=("train", "test"),
        css=Markup(texts["css"]),
        script=Markup(texts["js"]),
        hashes={name: _csp_hash(text) for name, text in texts.items()},
    )


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _charts(result: Mapping[str, Any], logs: Mapping[str, Sequence[Rows]]) -> list[Chart]:
    curves, in_order, by_size = [], [], []
    for color, one in enumerate(result["contenders"]):
        label = one["label"]
        if logs.get(label):
            training = _thinned(_mean_curve(logs[label], "train"))
            curves.append(Line(f"{label} training", color, training, dashed=True))
            curves.append(Line(f"{label} validation", color, _mean_curve(logs[label], "val")))
        if one.get("responses"):
            stds = [layer["std"] for layer in one["responses"]["layers"]]
            in_order.append(Line(label, color, list(enumerate(stds, 1))))
            by_size.append(Line(label, color, list(enumerate(sorted(stds, reverse=True), 1))))
    charts = []
    if curves:
        title = "Error while training: training dashed, validation solid"
        charts.append(line_chart(title, curves, x_label="iteration", y_label="error (%)", unit=" %"))
    if in_order:
        title = "Layer responses: std of each 3×3 layer after BN"
        axes = {"y_label": "std", "x_from": 1.0}
        charts.append(line_chart(f"{title}, in the order of the net", in_order, x_label="layer", **axes))  # type: ignore[arg-type]
        charts.append(line_chart(f"{title}, sorted", by_size, x_label="layer, sorted", **axes))  # type: ignore[arg-type]
    return charts


def _mean_curve(logs: Sequence[Rows], event: str) -> list[tuple[float, float]]:
    """Over seeds, at the iterations that each of them has."""
    curves = [{row["iteration"]: row["top1_error"] for row in rows if row["event"] == event} for rows in logs]
    there = sorted(set.intersection(*(set(curve) for curve in curves)))
    return [(step, sum(curve[step] for curve in curves) / len(curves)) for step in there]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    size = max(1, -(-len(points) // _POINTS))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]


def _error(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return ""
    spread = f" ± {figure['std']:.2f} ({figure['n']})" if figure["std"] is not None else ""
    return f"{figure['mean']:.2f}{spread}"


def _number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    return "" if value is None else f"{value:{'+' if sign else ''},.{digits}f}"


def _p_value(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"
