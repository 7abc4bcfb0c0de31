"""What a race came to: speeds, and ratios of one round's figures, as medians with quartiles."""

from __future__ import annotations

import os
import shlex
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from rescli.bench.race import Lane
from rescli.bench.roofline import roofline
from rescli.hardware.numerics import Numerics
from rescli.runs.record import device_name, gpu_driver, now, provenance
from rescli.spec.run import RunSpec

__all__ = ["spread", "summarize"]


def summarize(lanes: Sequence[Lane], spec: RunSpec, numerics: Numerics, *, rounds: int) -> dict[str, Any]:
    """JSON values. ``ratios`` have the whole loop above the others, each of the same round."""
    ran = {lane.entry.label: lane for lane in lanes if lane.failed is None}
    own = ran.get("whole-loop")
    ready, measured = (own.ready, own.measured) if own else ({}, {})
    return {
        "benchmark": "bench",
        "date": now(),
        "command": shlex.join(["rescli", *sys.argv[1:]]),
        "device": device_name(numerics),
        "precision": numerics.precision,
        "threads": next((lane.ready["threads"] for lane in ran.values()), None),
        "load_average": round(os.getloadavg()[0], 2),
        **provenance(),
        "driver": gpu_driver() if numerics.device.type == "cuda" else None,
        "dataset": spec.data.dataset.kind,
        "model": spec.model.name,
        "batch_size": spec.data.batch_size,
        "rounds": rounds,
        "engine": ready.get("engine"),
        "kernels": ready.get("kernels"),
        "operations_per_step": measured.get("operations_per_step"),
        "kernels_per_step": measured.get("kernels_per_step"),
        "contenders": {name: _of_lane(lane, spec.data.batch_size) for name, lane in ran.items()},
        "failed": {lane.entry.label: lane.failed for lane in lanes if lane.failed is not None},
        "ratios": _ratios(ran),
        "roofline": _roofline(own, spec, numerics),
    }


def spread(values: Sequence[float], digits: int) -> dict[str, float]:
    """Median, quartiles and extremes."""
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    figures = {"median": median, "q1": q1, "q3": q3, "min": min(values), "max": max(values)}
    return {name: round(figure, digits) for name, figure in figures.items()}


def _of_lane(lane: Lane, batch_size: int) -> dict[str, Any]:
    speed = spread(lane.images_per_second, 1)
    return {
        "images_per_second": speed,
        "milliseconds_per_step": round(1000 * batch_size / speed["median"], 3),
        "steps_per_window": lane.steps,
        "first_step_seconds": round(lane.ready["first_step_seconds"], 2),
        "peak_memory_bytes": lane.peak_memory_bytes,
    }


def _ratios(ran: dict[str, Lane]) -> dict[str, Any]:
    own = ran.get("whole-loop")
    if own is None:
        return {}
    speeds = {name: lane.images_per_second for name, lane in ran.items() if lane is not own}
    idiomatic = [name for name in speeds if name.startswith("p1-")]
    if idiomatic:
        # The better of the two is what counts as p1.
        best = max(idiomatic, key=lambda name: statistics.median(speeds[name]))
        for name in idiomatic:
            if name != best:
                del speeds[name]
    ratios = {
        f"whole-loop / {name}": spread(
            [one / other for one, other in zip(own.images_per_second, values, strict=True)], 3
        )
        for name, values in speeds.items()
    }
    if "loader" in speeds:
        both = zip(own.images_per_second, speeds["loader"], strict=True)
        del ratios["whole-loop / loader"]
        ratios["loader, percent of a step"] = spread([100 * one / other for one, other in both], 3)
    return ratios


def _roofline(own: Lane | None, spec: RunSpec, numerics: Numerics) -> dict[str, Any] | None:
    dataset = spec.data.dataset
    layout = spec.model.layout(num_classes=dataset.num_classes, image_size=dataset.image_size)
    if own is None or layout is None or "ceilings" not in own.measured:
        return None
    ceilings = own.measured["ceilings"]
    bounds = roofline(layout, precision=numerics.precision, **ceilings)
    speed = statistics.median(own.images_per_second)
    return {
        **{name: float(f"{value:.4g}") for name, value in ceilings.items()},
        "images_per_second_by_flops": round(bounds.by_flops, 1),
        "images_per_second_by_bytes": round(bounds.by_bytes, 1),
        "percent": round(100 * speed / bounds.bound, 1),
    }
