"""How much of a short training of 56 layers depends on its seed: its first iterations and its gradients."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from evidence_results import EVIDENCE, RESULTS, read, seed_of, table

WINDOWS = ((1, 100), (101, 200), (201, 300), (301, 400), (401, 500), (1001, 2000))
"""First and last iterations of the columns; each a border of the windows that metrics.jsonl tells of."""


@dataclass(frozen=True)
class Course:
    """What metrics.jsonl tells of a run.

    train: iteration -> training error in % over the window that ends with it. val: iteration -> validation
    error. losses: iteration -> mean loss over the window.
    """

    train: dict[int, float]
    val: dict[int, float]
    losses: dict[int, float]

    @classmethod
    def read(cls, metrics: Path) -> Course:
        lines = [json.loads(line) for line in gzip.decompress(metrics.read_bytes()).decode().splitlines()]
        train, val = ([one for one in lines if one["event"] == event] for event in ("train", "val"))
        return cls(
            {line["iteration"]: line["top1_error"] for line in train},
            {line["iteration"]: line["top1_error"] for line in val},
            {line["iteration"]: line["loss"] for line in train},
        )

    def mean(self, first: int, last: int) -> float | None:
        """Training error from one iteration to another, both included; None where the run is shorter."""
        if max(self.train) < last:
            return None
        return fmean(error for iteration, error in self.train.items() if first <= iteration <= last)


def with_56_layers() -> list[tuple[dict[str, Any], Course]]:
    """Record and course of each run of resnet-56: of one that was made longer, only the longer."""
    h200 = RESULTS / "h200" / "he2015-resnet-56-seed0"
    files = [(Path(f"{h200}-record.json"), Path(f"{h200}-metrics.jsonl.gz"))]
    folders = sorted((*EVIDENCE.glob("runs/*resnet-56*"), *EVIDENCE.glob("early/*")))
    files += [(folder / "record.json", folder / "metrics.jsonl.gz") for folder in folders]
    longest: dict[tuple[int, str, str], tuple[dict[str, Any], Course]] = {}
    for record_file, metrics in files:
        record, course = read(record_file), Course.read(metrics)
        key = (int(seed_of(record)), processor(record), record["precision"])
        if key not in longest or max(longest[key][1].train) < max(course.train):
            longest[key] = (record, course)
    return [longest[key] for key in sorted(longest)]


def processor(record: dict[str, Any]) -> str:
    """``cuda (NVIDIA H200)`` or ``cpu (AMD EPYC, 2 threads)`` without what is around the name."""
    return str(record["device"]).partition(" (")[2].rstrip(")").split(",")[0]


def first_losses() -> Iterator[str]:
    losses = [course.losses[50] for _, course in with_56_layers()]
    yield f"{min(losses):.1f} to {max(losses):.1f}"


def early() -> Iterator[str]:
    rows = []
    for record, course in with_56_layers():
        means = [course.mean(first, last) for first, last in WINDOWS]
        errors = ("–" if error is None else f"{error:.1f}" for error in means)
        rows.append((seed_of(record), processor(record), record["precision"], *errors))
    head = (f"{first:,} to {last:,}" for first, last in WINDOWS)
    yield from table(("seed", "processor", "precision", *head), rows)


def gradients() -> Iterator[str]:
    measured = read(EVIDENCE / "gradients.json")
    if measured is None:
        yield "Not measured yet."
        return
    errors = measured["relative_error"]
    rows = [
        (kind, *(" and ".join(f"{100 * error:.2g} %" for error in errors[when][kind]) for when in errors))
        for kind in next(iter(errors.values()))
    ]
    yield from table(("computed by", *(f"relative error, {when}" for when in errors)), rows)


def crossing() -> Iterator[str]:
    """ResNet-56 beside ResNet-20 at a learning rate of 0.1, by the runs with the paper's schedule."""
    shallow, deep = (
        Course.read(RESULTS / "h200" / f"he2015-{net}-seed0-metrics.jsonl.gz")
        for net in ("resnet-20", "resnet-56")
    )
    rows = []
    for last in range(1000, max(deep.train) + 1, 1000):
        train = (f"{course.mean(last - 999, last):.2f}" for course in (shallow, deep))
        val = (f"{course.val[last]:.2f}" for course in (shallow, deep))
        rows.append((f"{last:,}", *train, *val))
    head = ("iteration", "resnet-20, training", "resnet-56, training", "resnet-20, val", "resnet-56, val")
    yield from table(head, rows)
