"""What benchmarks/results holds of trainings, read once for the page of evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rescli.spec.load import load_spec

DOCS = Path(__file__).resolve().parents[1]
RESULTS = DOCS.parent / "benchmarks" / "results"
EVIDENCE = RESULTS / "evidence"
PRESET = "he2015/base"
WHOLE = load_spec(PRESET).iterations
"""Iterations of the paper's schedule on CIFAR-10 (section 4.2)."""


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def records() -> list[dict[str, Any]]:
    """Of all runs, those of the GPU too, each with the length of its schedule as ``iterations``."""
    found = []
    for path in sorted((*RESULTS.glob("h200/*-record.json"), *EVIDENCE.glob("runs/*/record.json"))):
        record = read(path)
        record["iterations"] = WHOLE
        if (spec := path.with_name("spec.toml")).exists():
            lines = spec.read_text(encoding="utf-8").splitlines()
            record["iterations"] = int(
                next(line for line in lines if line.startswith("iterations")).split()[-1]
            )
        found.append(record)
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def net_of(record: dict[str, Any]) -> str:
    return str(record["name"]).split("-seed")[0].removeprefix("cifar10-")


def seed_of(record: dict[str, Any]) -> str:
    return str(record["name"]).rpartition("-seed")[2]
