"""What ``rescli compare`` leaves on the disk: numbers, pictures, a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rescli.files import write_atomically, write_json
from rescli.report.comparison_figures import curves_figure
from rescli.report.figures import responses_figure
from rescli.report.page import comparison_page
from rescli.runs.directory import RunDir
from rescli.runs.metrics_log import read_metrics

__all__ = ["Logs", "write_comparison"]

Logs = dict[str, list[Sequence[Mapping[str, Any]]]]


def write_comparison(out: Path, result: dict[str, Any]) -> Logs:
    """compare.json, report.html; curves and responses as PNG and SVG where there are any.

    Returns:
        Per label the metrics of each seed.
    """

    write_json(out / "compare.json", result)
    logs = {one["label"]: _logs(one) for one in result["contenders"]}
    lines = [
        (one["label"], one["model"], logs[one["label"]]) for one in result["contenders"] if logs[one["label"]]
    ]
    stds = [
        (one["label"], [layer["std"] for layer in one["responses"]["layers"]])
        for one in result["contenders"]
        if one["responses"]
    ]
    for suffix in ("png", "svg"):
        if lines:
            write_atomically(out / f"curves.{suffix}", curves_figure(lines, format=suffix))
        if stds:
            write_atomically(out / f"responses.{suffix}", responses_figure(stds, format=suffix))
    write_atomically(out / "report.html", comparison_page(result, logs).encode())
    return logs


def _logs(contender: Mapping[str, Any]) -> list[Sequence[Mapping[str, Any]]]:
    """The metrics of each seed that has a run directory."""

    found: list[Sequence[Mapping[str, Any]]] = []
    for run in contender["runs"]:
        run_dir = RunDir.of_checkpoint(Path(run["checkpoint"]))
        if run_dir is not None and run_dir.metrics.is_file():
            found.append(read_metrics(run_dir.metrics))
    return found
