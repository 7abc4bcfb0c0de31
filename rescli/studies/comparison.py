"""Contenders side by side: figures of each, and of each pair what can be said about the difference."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.checkpoints.header import CheckpointHeader
from rescli.errors import CheckpointError
from rescli.evaluation.metrics import wilson_interval
from rescli.evaluation.result import NetResult
from rescli.runs.directory import RunDir
from rescli.runs.evaluating.evaluator import Evaluator
from rescli.runs.stored_record import read_record
from rescli.studies.published import PublishedRow, PublishedTable
from rescli.studies.rows import (
    ContenderRow,
    ContenderRunRow,
    ImagesTest,
    PairRow,
    PublishedFigure,
    SeedsTest,
    SplitTests,
)
from rescli.studies.statistics.agreement import agreement
from rescli.studies.statistics.seeds import over_seeds
from rescli.studies.statistics.significance import compare_predictions, compare_seeds
from rescli.studies.verdict import pair_verdict

__all__ = ["Contender", "compare_contenders"]

_log = logging.getLogger(__name__)

_Split = Literal["test", "train"]


@dataclass(frozen=True)
class Contender:
    """One way to train, or one net.

    Args:
        label: what it is called in the comparison.
        checkpoints: the last weights of each of its seeds.
    """

    label: str
    checkpoints: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class _Measured:
    contender: Contender
    row: ContenderRow
    wrong: dict[_Split, NDArray[np.bool_]]
    """Per split, which of the images the first seed gets wrong."""


def compare_contenders(
    contenders: Sequence[Contender],
    *,
    test: Evaluator,
    train: Evaluator,
    published: PublishedTable | None,
) -> tuple[list[ContenderRow], list[PairRow]]:
    """Evaluate everything and compare each pair.

    Args:
        contenders: at least one.
        test: evaluates on the test part.
        train: evaluates on the training images as they are, without augmentation.
        published: the paper's table to hold the errors against; None for none.

    Returns:
        Figures of each contender, and the tests and the verdict of each pair.

    Raises:
        CheckpointError, DataError, UsageError: as ``Evaluator.evaluate``.
    """
    measured = [_measure(contender, test, train, published) for contender in contenders]
    pairs = [_compare(first, second) for first, second in combinations(measured, 2)]
    return [one.row for one in measured], pairs


def _measure(
    contender: Contender, test: Evaluator, train: Evaluator, published: PublishedTable | None
) -> _Measured:
    runs: list[ContenderRunRow] = []
    wrong: dict[_Split, NDArray[np.bool_]] = {}
    checkpoint = Checkpoint.read(contender.checkpoints[0])
    for path in contender.checkpoints:
        on_test, on_train = test.evaluate(path), train.evaluate(path)
        if not wrong:
            wrong = {"test": _wrong(on_test), "train": _wrong(on_train)}
        runs.append(_run_row(path, on_test, on_train, test))
    dataset = checkpoint.dataset
    layout = checkpoint.model.layout(num_classes=len(checkpoint.class_names), image_size=dataset.image_size)
    shortcut = getattr(checkpoint.model, "shortcut", None)
    row: ContenderRow = {
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
        "at_chance": all(run["at_chance"] for run in runs),
        "runs": runs,
        "train_error": over_seeds(run["train_error"] for run in runs),
        "augmented_train_error": over_seeds(run["augmented_train_error"] for run in runs),
        "val_error": over_seeds(run["val_error"] for run in runs),
        "test_error": over_seeds(run["test_error"] for run in runs),
        "best_test_error": over_seeds(run["best_test_error"] for run in runs),
        "train_seconds": _mean([run["train_seconds"] for run in runs]),
        "images_per_second": _mean([run["images_per_second"] for run in runs]),
        "published": None,
    }
    if published is not None and published.dataset == dataset.kind:
        found = published.row(checkpoint.model.name, shortcut)
        row["published"] = _against(found, row, published) if found else None
    return _Measured(contender, row, wrong)


def _run_row(path: Path, on_test: NetResult, on_train: NetResult, test: Evaluator) -> ContenderRunRow:
    row: ContenderRunRow = {
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
        "augmented_train_error": None,
        "val_error": None,
        "best_test_error": None,
        "train_seconds": None,
        "images_per_second": None,
        # In the checkpoint, even without a record: a shortened run is never held against the paper.
        "scaled": (CheckpointHeader.read(path).metadata.get("spec") or {}).get("scaled_from") is not None,
        "at_chance": _at_chance(on_train),
    }
    run_dir = RunDir.of_checkpoint(path)
    if run_dir is None:
        return row
    try:
        record = read_record(run_dir)
    except CheckpointError as error:
        _log.warning("%s It is compared without what only it knows: seconds, error while training", error)
        return row
    results = record["results"]
    if run_dir.best.is_file():
        row["best_test_error"] = test.evaluate(run_dir.best).row["top1_error"]
    row["augmented_train_error"] = (results.get("train") or {}).get("top1_error")
    row["val_error"] = (results.get("val") or {}).get("top1_error")
    row["train_seconds"] = record.get("train_seconds")
    row["images_per_second"] = record.get("images_per_second")
    return row


def _at_chance(on_train: NetResult) -> bool:
    """Whether the net does no better than the best single answer for all images, as far as so many say."""
    counts = torch.bincount(on_train.labels_N, minlength=len(on_train.class_names))
    one_answer = 100 * (1 - int(counts.max()) / len(on_train.labels_N))
    lowest, _ = wilson_interval(one_answer, len(on_train.labels_N))
    return bool(_wrong(on_train).mean() * 100 >= lowest)


def _compare(first: _Measured, second: _Measured) -> PairRow:
    pair: PairRow = {
        "first": first.row["label"],
        "second": second.row["label"],
        "reason": _not_comparable(first.row, second.row),
    }
    if pair["reason"] is None:
        pair["test"] = _tests(first, second, "test")
        # Trained on other images, only the test errors are of the same images.
        if first.row["train_sha256"] == second.row["train_sha256"]:
            pair["train"] = _tests(first, second, "train")
    pair["verdict"] = pair_verdict(pair, at_chance=first.row["at_chance"] and second.row["at_chance"])
    return pair


def _tests(first: _Measured, second: _Measured, split: _Split) -> SplitTests:
    def errors(one: _Measured) -> list[float]:
        runs = one.row["runs"]
        return [run["test_error"] if split == "test" else run["train_error"] for run in runs]

    paired = compare_predictions(first.wrong[split], second.wrong[split])
    seeds = compare_seeds(errors(first), errors(second))
    return {"images": cast(ImagesTest, asdict(paired)), "seeds": cast(SeedsTest, asdict(seeds))}


def _not_comparable(first: ContenderRow, second: ContenderRow) -> str | None:
    if first["dataset"] != second["dataset"]:
        return f"different data sets: {first['dataset']} and {second['dataset']}"
    if first["protocol"] != second["protocol"]:
        return f"different protocols: {first['protocol']} and {second['protocol']}"
    if len(first["test_sha256"]) > 1 or first["test_sha256"] != second["test_sha256"]:
        return "different test images"
    return None


def _wrong(result: NetResult) -> NDArray[np.bool_]:
    predicted = result.among_set.argmax(1)
    return np.asarray((predicted != result.labels_N).numpy())


def _mean(values: list[float | None]) -> float | None:
    figure = over_seeds(values)
    return figure["mean"] if figure is not None else None


def _against(found: PublishedRow, row: ContenderRow, table: PublishedTable) -> PublishedFigure | None:
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
