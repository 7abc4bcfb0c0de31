"""Contenders side by side: figures of each, and of each pair what can be said about the difference."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.checkpoints.header import CheckpointHeader
from rescli.errors import CheckpointError
from rescli.evaluation.result import Evaluated
from rescli.runs.directory import RunDir
from rescli.runs.evaluator import Evaluator
from rescli.runs.record import read_record
from rescli.studies.agreement import agreement
from rescli.studies.published import PublishedRow, PublishedTable
from rescli.studies.statistics import compare_predictions, compare_seeds

__all__ = ["Contender", "compare_contenders"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Contender:
    """One way to train, or one net: a label and the checkpoint of the last weights of each of its seeds."""

    label: str
    checkpoints: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class _Measured:
    contender: Contender
    row: dict[str, Any]
    wrong: dict[str, list[NDArray[np.bool_]]]
    """Per split, for each seed, which of the images it gets wrong."""


def compare_contenders(
    contenders: Sequence[Contender],
    *,
    test: Evaluator,
    train: Evaluator,
    published: PublishedTable | None,
) -> dict[str, Any]:
    """Evaluate everything and compare each pair.

    test, train: evaluators of the test part and of the training images as they are, without augmentation.

    Returns:
        JSON values: ``contenders`` (figures, mean and std over seeds, in percent) and ``pairs``.

    Raises:
        As ``Evaluator.evaluate``.
    """
    measured = [_measure(contender, test, train, published) for contender in contenders]
    return {
        "contenders": [one.row for one in measured],
        "pairs": [_compare(first, second) for first, second in combinations(measured, 2)],
    }


def _measure(
    contender: Contender, test: Evaluator, train: Evaluator, published: PublishedTable | None
) -> _Measured:
    runs, wrong = [], {"test": [], "train": []}  # type: ignore[var-annotated]
    checkpoint = Checkpoint.read(contender.checkpoints[0])
    for path in contender.checkpoints:
        on_test, on_train = test.evaluate(path), train.evaluate(path)
        wrong["test"].append(_wrong(on_test))
        wrong["train"].append(_wrong(on_train))
        runs.append(_run_row(path, on_test, on_train, test))
    dataset = checkpoint.dataset
    layout = checkpoint.model.layout(num_classes=len(checkpoint.class_names), image_size=dataset.image_size)
    shortcut = getattr(checkpoint.model, "shortcut", None)
    row: dict[str, Any] = {
        "label": contender.label,
        "model": checkpoint.model.name,
        "shortcut": shortcut,
        "dataset": dataset.kind,
        "params": layout.params if layout else None,
        "macs": layout.macs if layout else None,
        "protocol": runs[0]["protocol"],
        "test_sha256": sorted({run["test_sha256"] for run in runs}),
        "train_sha256": sorted({run["train_sha256"] for run in runs}),
        "scaled": any(run["scaled"] for run in runs),
        "runs": runs,
    }
    keys = ("train_error", "augmented_train_error", "val_error", "test_error", "best_test_error")
    row |= {key: _over_seeds([run[key] for run in runs]) for key in keys}
    row |= {key: _mean([run[key] for run in runs]) for key in ("train_seconds", "images_per_second")}
    row["published"] = None
    if published is not None and published.dataset == dataset.kind:
        found = published.row(checkpoint.model.name, shortcut)
        row["published"] = _against(found, row, published) if found else None
    return _Measured(contender, row, wrong)


def _run_row(path: Path, on_test: Evaluated, on_train: Evaluated, test: Evaluator) -> dict[str, Any]:
    """Of one seed; what only a run directory knows is None for a checkpoint alone."""
    row = {
        "checkpoint": str(path),
        "iteration": on_test.row["iteration"],
        "selection": on_test.row["selection"],
        "protocol": on_test.row["protocol"],
        "num_test": on_test.row["num_images"],
        "test_error": on_test.row["top1_error"],
        "interval95": on_test.row["interval95"],
        "test_sha256": on_test.row["data_sha256"],
        "train_error": on_train.row["top1_error"],
        "train_sha256": on_train.row["data_sha256"],
    }
    absent = ("augmented_train_error", "val_error", "best_test_error", "train_seconds", "images_per_second")
    row |= dict.fromkeys(absent)
    # Of the checkpoint, there even without a record: a shortened run is never held against the paper.
    row["scaled"] = (CheckpointHeader.read(path).metadata.get("spec") or {}).get("scaled_from") is not None
    run_dir = RunDir.of_checkpoint(path)
    if run_dir is None:
        return row
    try:
        record = read_record(run_dir)
    except CheckpointError as error:
        _log.warning("%s; compared without what only it knows: seconds, error while training", error)
        return row
    results = record["results"]
    if run_dir.best.is_file():
        row["best_test_error"] = test.evaluate(run_dir.best).row["top1_error"]
    return row | {
        "augmented_train_error": (results.get("train") or {}).get("top1_error"),
        "val_error": (results.get("val") or {}).get("top1_error"),
        "train_seconds": record.get("train_seconds"),
        "images_per_second": record.get("images_per_second"),
    }


def _compare(first: _Measured, second: _Measured) -> dict[str, Any]:
    """``reason`` says why two contenders are not ranked; None where they are."""
    pair: dict[str, Any] = {"first": first.row["label"], "second": second.row["label"]}
    pair["reason"] = _not_comparable(first.row, second.row)
    if pair["reason"] is not None:
        return pair
    for split, key in (("test", "test_error"), ("train", "train_error")):
        if first.row[f"{split}_sha256"] != second.row[f"{split}_sha256"]:
            continue  # trained on other images: only the test errors are of the same images
        paired = compare_predictions(first.wrong[split][0], second.wrong[split][0])
        seeds = compare_seeds(
            [run[key] for run in first.row["runs"]], [run[key] for run in second.row["runs"]]
        )
        pair[split] = {"images": asdict(paired), "seeds": asdict(seeds)}
    return pair


def _not_comparable(first: dict[str, Any], second: dict[str, Any]) -> str | None:
    for key, what in (("dataset", "data sets"), ("protocol", "protocols")):
        if first[key] != second[key]:
            return f"different {what}: {first[key]} and {second[key]}"
    if len(first["test_sha256"]) > 1 or first["test_sha256"] != second["test_sha256"]:
        return "different test images"
    return None


def _wrong(result: Evaluated) -> NDArray[np.bool_]:
    predicted = result.among_set.argmax(1)
    return np.asarray((predicted != result.labels_N).numpy())


def _over_seeds(values: list[float | None]) -> dict[str, Any] | None:
    """Mean, std with n - 1 (None for one seed) and n; None where no run has the figure."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    std = float(np.std(there, ddof=1)) if len(there) > 1 else None
    return {"mean": float(np.mean(there)), "std": std, "n": len(there)}


def _mean(values: list[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def _against(found: PublishedRow, row: dict[str, Any], table: PublishedTable) -> dict[str, Any] | None:
    """The published error beside ours; see ``agreement``."""
    agrees = agreement(found, [run["test_error"] for run in row["runs"]], row["runs"][0]["num_test"])
    if agrees is None:
        return None
    verdict = agrees.verdict
    if row["scaled"]:
        verdict = "scaled: not comparable with published numbers"
    elif row["protocol"] != table.protocol:
        verdict = f"not comparable: published by {table.protocol}, measured by {row['protocol']}"
    return {
        "top1_error": found.top1_error,
        "mean": found.mean,
        "source": table.source,
        "interval95": list(agrees.interval95),
        "interval": agrees.how,
        "verdict": verdict,
    }
