"""How much of a short training of 56 layers is chance: its first iterations and its gradients."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from evidence_results import EVIDENCE, RESULTS, read, seed_of, table


def train_errors(metrics: Path) -> dict[int, float]:
    """Iteration -> training error in % over the window that ends with it."""
    lines = map(json.loads, gzip.decompress(metrics.read_bytes()).decode().splitlines())
    return {line["iteration"]: line["top1_error"] for line in lines if line["event"] == "train"}


def mean_until(errors: dict[int, float], last: int, length: int) -> float:
    return fmean(error for iteration, error in errors.items() if last - length < iteration <= last)


def early() -> Iterator[str]:
    """The first iterations of resnet-56, of all its runs."""
    h200 = RESULTS / "h200" / "he2015-resnet-56-seed0"
    runs = [
        (h200.with_name(h200.name + "-metrics.jsonl.gz"), read(h200.with_name(h200.name + "-record.json")))
    ]
    folders = sorted((*EVIDENCE.glob("runs/*resnet-56*"), *EVIDENCE.glob("early/*")))
    runs += [(folder / "metrics.jsonl.gz", read(folder / "record.json")) for folder in folders]
    rows = []
    for metrics, record in runs:
        errors = train_errors(metrics)
        if max(errors) >= 500:
            device = record["device"].split(" (")[0].replace("cuda", "H200").replace("cpu", "CPU")
            windows = (f"{mean_until(errors, last, 100):.1f}" for last in (100, 200, 300, 400, 500))
            rows.append((seed_of(record), device, record["precision"], *windows))
    head = ("seed", "device", "precision", *(f"{last - 99} to {last}" for last in (100, 200, 300, 400, 500)))
    yield from table(head, sorted(rows))


def gradients() -> Iterator[str]:
    measured = read(EVIDENCE / "gradients.json")
    if measured is None:
        yield "Not measured yet."
        return
    errors = measured["relative_error"]
    rows = [
        (kind, *(" and ".join(f"{error:.1e}" for error in errors[when][kind]) for when in errors))
        for kind in next(iter(errors.values()))
    ]
    yield from table(("convolutions and norms", *(f"relative error, {when}" for when in errors)), rows)


def crossing() -> Iterator[str]:
    """Where the deeper net overtakes at a learning rate of 0.1, by the runs with the paper's schedule."""
    deep, shallow = (
        train_errors(RESULTS / "h200" / f"he2015-{net}-seed0-metrics.jsonl.gz")
        for net in ("resnet-56", "resnet-20")
    )
    rows = [
        (f"{last:,}", f"{mean_until(shallow, last, 1000):.2f}", f"{mean_until(deep, last, 1000):.2f}")
        for last in range(1000, max(deep) + 1, 1000)
    ]
    yield from table(("iteration", "resnet-20", "resnet-56"), rows)
