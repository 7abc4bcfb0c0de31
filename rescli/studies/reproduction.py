"""A table or figure of the paper, measured: what is finished, beside what is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rescli.runs.directory import RunDir
from rescli.runs.evaluating.evaluator import Evaluator
from rescli.runs.stored_record import read_record
from rescli.spec.ledger.ledger import differences, ledger
from rescli.studies.curves import RunCurves
from rescli.studies.not_run import NotRun
from rescli.studies.paper_items import PaperItem, PaperNet
from rescli.studies.queued_run import QueuedRun
from rescli.studies.responses import ResponsesRow, measure_responses
from rescli.studies.rows import ReproducedRunRow, ReproductionRow
from rescli.studies.statistics.agreement import agreement
from rescli.studies.statistics.seeds import over_seeds

__all__ = ["NetCurves", "finished", "finished_curves", "finished_responses", "measure_nets"]

_IMPLEMENTATION = ("batch norm over", "precision")
"""What rescli's presets of the paper do differently and say so; anything beyond was changed by the user."""


@dataclass(frozen=True)
class NetCurves:
    """The curves of one net.

    Args:
        label: what it is called in the figure.
        model: the model's name, such as ``plain-20``.
        seeds: one entry a finished run.
    """

    label: str
    model: str
    seeds: tuple[RunCurves, ...]


def finished(runs: Sequence[QueuedRun]) -> list[QueuedRun]:
    """Those of the runs that are trained to their end."""
    return [run for run in runs if run.status == "finished"]


def measure_nets(
    item: PaperItem,
    planned: Mapping[PaperNet, Sequence[QueuedRun]],
    not_run: Mapping[PaperNet, NotRun],
    evaluator: Evaluator,
) -> list[ReproductionRow]:
    """One row a net, in the paper's order. Only finished runs are measured; nothing is filled in.

    Args:
        item: the table or figure.
        planned: the runs of each net, one a seed.
        not_run: why a net has no figures of ours.
        evaluator: what tests them.

    Raises:
        CheckpointError, DataError, UsageError: as ``Evaluator.evaluate``.
    """
    rows = []
    for net in item.nets:
        published = net.published
        row: ReproductionRow = {
            "label": net.label,
            "preset": net.preset,
            "published_top1": (published.mean or published.top1_error) if published else None,
            "published_top5": published.top5_error if published else None,
            "measured": None,
            "verdict": None,
            "not_run": not_run.get(net),
        }
        done = finished(planned.get(net, ()))
        if done:
            _measure(row, item, net, done, evaluator)
            row["seeds_wanted"] = len(planned[net])
        elif net.preset is not None and row["not_run"] is None:
            row["not_run"] = NotRun("no run is finished", "unfinished")
        rows.append(row)
    return rows


def _measure(
    row: ReproductionRow, item: PaperItem, net: PaperNet, done: Sequence[QueuedRun], evaluator: Evaluator
) -> None:
    """Write what the finished runs came to into the row."""
    runs = [_run_row(run, evaluator) for run in done]
    errors = [run["top1_error"] for run in runs]
    spec = done[0].spec
    changed = [f"{found.field} ({found.here}; paper: {found.paper})" for found in differences(ledger(spec))]
    row["measured"] = over_seeds(errors)
    row["measured_top5"] = over_seeds(run["top5_error"] for run in runs)
    row["differs_from_paper"] = changed
    row["runs"] = runs
    agrees = agreement(net.published, errors, runs[0]["num_images"]) if net.published else None
    by_the_user = "; ".join(text for text in changed if not text.startswith(_IMPLEMENTATION))
    if spec.scaled_from is not None:
        row["verdict"] = "scaled: not comparable with published numbers"
    elif by_the_user:
        row["verdict"] = f"not comparable: {by_the_user}"
    elif item.table is not None and runs[0]["protocol"] != item.table.protocol:
        row["verdict"] = f"not comparable: measured by {runs[0]['protocol']}"
    elif agrees is not None:
        row["verdict"] = agrees.verdict
        row["interval95"] = list(agrees.interval95)
        row["interval"] = agrees.how


def _run_row(run: QueuedRun, evaluator: Evaluator) -> ReproducedRunRow:
    run_dir = RunDir.open(run.path)
    found, record = evaluator.evaluate(run_dir.last).row, read_record(run_dir)
    row: ReproducedRunRow = {
        "run": str(run.path),
        "seed": run.spec.seed,
        "top1_error": found["top1_error"],
        "top5_error": found["top5_error"],
        "num_images": found["num_images"],
        "protocol": found["protocol"],
        "data_sha256": found["data_sha256"],
        "train_seconds": record.get("train_seconds"),
        "images_per_second": record.get("images_per_second"),
        "device": record.get("device"),
        "precision": record.get("precision"),
        "train_error": (record["results"].get("train") or {}).get("top1_error"),
    }
    if "imported" in record:
        row["imported"] = record["imported"]
    return row


def finished_curves(planned: Mapping[PaperNet, Sequence[QueuedRun]]) -> list[NetCurves]:
    """The curves of every net of which a run is finished: what Figures 1, 4 and 6 are drawn from."""
    found = []
    for net, runs in planned.items():
        curves = (RunCurves.of_checkpoint(RunDir(run.path).last) for run in finished(runs))
        seeds = tuple(one for one in curves if one is not None)
        if seeds:
            found.append(NetCurves(net.label, runs[0].spec.model.name, seeds))
    return found


def finished_responses(
    planned: Mapping[PaperNet, Sequence[QueuedRun]], *, data_root: Path | None, device: str
) -> list[ResponsesRow]:
    """Layer responses of the first finished seed of each net; see ``measure_responses``."""
    return [
        measure_responses(RunDir.open(done[0].path).last, None, data_root, device)
        for runs in planned.values()
        if (done := finished(runs))
    ]
