"""Errors over the iterations of a run, as its metrics.jsonl holds them, and their mean over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rescli.runs.directory import RunDir
from rescli.runs.metrics_log import read_metrics

__all__ = ["Point", "RunCurves", "mean_curve", "thinned"]

Point = tuple[float, float]
"""(iteration, error in percent)."""


@dataclass(frozen=True)
class RunCurves:
    """The curves of one run.

    Args:
        train: error of each window of training, on augmented images, while the net changed.
        val: error of each evaluation of the validation images.
    """

    train: tuple[Point, ...] = ()
    val: tuple[Point, ...] = ()

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> RunCurves:
        """The curves in the rows of a metrics.jsonl, in their order."""
        points: dict[str, list[Point]] = {"train": [], "val": []}
        for row in rows:
            if row["event"] in points:
                points[row["event"]].append((row["iteration"], row["top1_error"]))
        return cls(tuple(points["train"]), tuple(points["val"]))

    @classmethod
    def of_checkpoint(cls, checkpoint: Path) -> RunCurves | None:
        """The curves of the run that a checkpoint lies in; None for a file on its own."""
        run_dir = RunDir.of_checkpoint(checkpoint)
        if run_dir is None or not run_dir.metrics.is_file():
            return None
        return cls.of_rows(read_metrics(run_dir.metrics))


def mean_curve(seeds: Sequence[Sequence[Point]]) -> list[Point]:
    """The mean over seeds, at the iterations that each of them has.

    Example:
        >>> mean_curve([[(10, 90.0), (20, 80.0)], [(20, 70.0)]])
        [(20, 75.0)]
    """
    if not seeds:
        return []
    curves = [dict(points) for points in seeds]
    there = sorted(set.intersection(*(set(curve) for curve in curves)))
    return [(step, sum(curve[step] for curve in curves) / len(curves)) for step in there]


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most ``most`` points, each the mean of its neighbours: the curve, not its noise, is what is read.

    Example:
        >>> thinned([(1, 4.0), (2, 6.0), (3, 1.0)], most=2)
        [(2, 5.0), (3, 1.0)]
    """
    size = max(1, -(-len(points) // most))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(error for _, error in group) / len(group)) for group in groups]
