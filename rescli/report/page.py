"""A comparison as one HTML file that needs nothing else: no network, no script from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import TypedDict

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rescli.foreign_text import readable
from rescli.report.charts import Chart, Line, line_chart
from rescli.report.comparison.columns import contender_columns, tested_on
from rescli.report.table import Table
from rescli.studies.curves import mean_curve, thinned
from rescli.studies.reproduction import NetCurves
from rescli.studies.rows import ContenderRow, PairRow

__all__ = ["Origin", "comparison_page"]

_POINTS = 60
"""Points of a training curve, as many as a mouse can hit."""


class Origin(TypedDict):
    """What computed a comparison: see ``rescli.runs.record.provenance``."""

    rescli_version: str
    versions: Mapping[str, str | None]


def comparison_page(
    *,
    summary: Sequence[str],
    contenders: Sequence[ContenderRow],
    pairs: Sequence[PairRow],
    origin: Origin,
    curves: Sequence[NetCurves],
) -> str:
    """The page: what was shown, tables that sort, curves that tell their values, verdicts; light and dark.

    Args:
        summary: sentences, the most important first.
        contenders, pairs: as compare.json holds them.
        origin: the versions that computed it.
        curves: of each contender that has a run directory.
    """
    environment = Environment(
        loader=PackageLoader("rescli.report"),
        autoescape=True,
        finalize=lambda value: readable(value) if type(value) is str else value,  # Markup stays as it is
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "p_value": _p_value}
    texts = {name: environment.get_template(f"compare.{name}").render() for name in ("css", "js")}
    return environment.get_template("compare.html").render(
        summary=summary,
        tested_on=tested_on(contenders),
        contenders=contenders,
        pairs=pairs,
        origin=origin,
        table=Table.of(contender_columns(contenders), contenders),
        charts=_charts(contenders, {net.label: net for net in curves}),
        labels=[one["label"] for one in contenders],
        splits=("train", "test"),
        css=Markup(texts["css"]),
        script=Markup(texts["js"]),
        hashes={name: _csp_hash(text) for name, text in texts.items()},
    )


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _charts(contenders: Sequence[ContenderRow], nets: Mapping[str, NetCurves]) -> list[Chart]:
    curves, in_order, by_size = [], [], []
    for color, one in enumerate(contenders):
        label = one["label"]
        if label in nets:
            seeds = nets[label].seeds
            training = thinned(mean_curve([seed.train for seed in seeds]), _POINTS)
            curves.append(Line(f"{label} training", color, training, dashed=True))
            validation = mean_curve([seed.val for seed in seeds])
            curves.append(Line(f"{label} validation", color, validation))
        responses = one.get("responses")
        if responses:
            stds = [layer["std"] for layer in responses["layers"]]
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


def _number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    return "" if value is None else f"{value:{'+' if sign else ''},.{digits}f}"


def _p_value(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"
