"""A table or figure of the paper, measured: what is finished, beside what is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rescli.runs.directory import RunDir
from rescli.runs.evaluator import Evaluator
from rescli.runs.metrics_log import read_metrics
from rescli.runs.record import read_record
from rescli.spec.ledger.ledger import differences, ledger
from rescli.studies.agreement import agreement
from rescli.studies.paper_items import Entry, Target
from rescli.studies.queue import CampaignRun
from rescli.studies.responses import measure_responses

__all__ = ["curve_lines", "finished", "measure_entries", "response_lines"]


def finished(runs: Sequence[CampaignRun]) -> list[CampaignRun]:
    return [run for run in runs if run.status == "finished"]


def measure_entries(
    target: Target,
    planned: Mapping[Entry, Sequence[CampaignRun]],
    not_run: Mapping[Entry, str],
    evaluator: Evaluator,
) -> list[dict[str, Any]]:
    """One row an entry, in the paper's order. Only finished runs are measured; nothing is filled in.

    not_run: why an entry has no figures of ours.

    Raises:
        As ``Evaluator.evaluate``.
    """
    rows = []
    for entry in target.entries:
        published = entry.published
        row: dict[str, Any] = {
            "label": entry.label,
            "preset": entry.preset,
            "published_top1": (published.mean or published.top1_error) if published else None,
            "published_top5": published.top5_error if published else None,
            "measured": None,
            "verdict": None,
            "not_run": not_run.get(entry),
        }
        done = finished(planned.get(entry, ()))
        if done:
            row |= _measured(target, entry, done, len(planned[entry]), evaluator)
        elif entry.preset is not None and row["not_run"] is None:
            row["not_run"] = "no run is finished"
        rows.append(row)
    return rows


def _measured(
    target: Target, entry: Entry, done: Sequence[CampaignRun], wanted: int, evaluator: Evaluator
) -> dict[str, Any]:
    runs: list[dict[str, Any]] = []
    for run in done:
        run_dir = RunDir.open(run.path)
        found: Mapping[str, Any] = evaluator.evaluate(run_dir.last).row
        record = read_record(run_dir)
        keys = ("top1_error", "top5_error", "num_images", "protocol", "data_sha256")
        runs.append(
            {"run": str(run.path), "seed": run.spec.seed}
            | {key: found[key] for key in keys}
            | {key: record.get(key) for key in ("train_seconds", "images_per_second", "device", "precision")}
            | {"train_error": (record["results"].get("train") or {}).get("top1_error")}
        )
    errors = [run["top1_error"] for run in runs]
    spec = done[0].spec
    changed = [f"{row.field} ({row.here}; paper: {row.paper})" for row in differences(ledger(spec))]
    row: dict[str, Any] = {
        "measured": _over_seeds(errors),
        "measured_top5": _over_seeds([run["top5_error"] for run in runs]),
        "seeds_wanted": wanted,
        "differs_from_paper": changed,
        "runs": runs,
    }
    agrees = agreement(entry.published, errors, runs[0]["num_images"]) if entry.published else None
    if spec.scaled_from is not None:
        row["verdict"] = "scaled: not comparable with published numbers"
    elif _shortened(changed):
        row["verdict"] = f"not comparable: {_shortened(changed)}"
    elif target.table is not None and runs[0]["protocol"] != target.table.protocol:
        row["verdict"] = f"not comparable: measured by {runs[0]['protocol']}"
    elif agrees is not None:
        row["verdict"] = agrees.verdict
        row |= {"interval95": list(agrees.interval95), "interval": agrees.how}
    return row


_IMPLEMENTATION = ("batch norm over", "precision")
"""What rescli's presets of the paper do differently and say so; anything beyond was changed by the user."""


def _shortened(changed: Sequence[str]) -> str:
    return "; ".join(text for text in changed if not text.startswith(_IMPLEMENTATION))


def _over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean, std with n - 1 (None for one seed) and n."""
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": std, "n": len(values)}


def curve_lines(
    planned: Mapping[Entry, Sequence[CampaignRun]],
) -> list[tuple[str, str, list[Sequence[Mapping[str, Any]]]]]:
    """(label, model, metrics of each finished seed): what the figure of curves is drawn from."""
    lines: list[tuple[str, str, list[Sequence[Mapping[str, Any]]]]] = []
    for entry, runs in planned.items():
        logs = [read_metrics(RunDir.open(run.path).metrics) for run in finished(runs)]
        if logs:
            lines.append((entry.label, runs[0].spec.model.name, list(logs)))
    return lines


def response_lines(
    planned: Mapping[Entry, Sequence[CampaignRun]], *, data_root: Path | None, device: str
) -> list[dict[str, Any]]:
    """Layer responses of the first finished seed of each entry; see ``measure_responses``."""
    return [
        dict(measure_responses(RunDir.open(done[0].path).last, None, data_root, device, 250))
        for runs in planned.values()
        if (done := finished(runs))
    ]
