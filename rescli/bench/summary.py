"""What a race came to: speeds, and ratios of the windows of one round, as medians with quartiles."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from typing import TypedDict

from rescli.bench.other_load import OtherLoad
from rescli.bench.race import Lane
from rescli.bench.roofline import roofline, winograd_macs
from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import Numerics
from rescli.runs.record import gpu_driver, now, provenance
from rescli.spec.run import RunSpec

__all__ = [
    "BenchRecord",
    "BenchRow",
    "RooflineRecord",
    "Spread",
    "WinogradRecord",
    "spread",
    "summarize",
]


class Spread(TypedDict):
    """Median, quartiles and extremes."""

    median: float
    q1: float
    q3: float
    min: float
    max: float


class BenchRow(TypedDict):
    """One contender."""

    images_per_second: Spread
    milliseconds_per_step: float
    steps_per_window: int
    first_step_seconds: float
    peak_memory_bytes: int | None


class WinogradRecord(TypedDict):
    """The same with the fewer products of Winograd's convolutions; their additions are not counted."""

    tile: int
    """Side of the output that a 3x3 convolution with stride 1 makes at once."""
    fewer_products: float
    """How many times fewer a training step has."""
    images_per_second_by_flops: float
    percent: float


class RooflineRecord(TypedDict):
    """How near the whole loop comes to what the device could do at best."""

    flops_per_second: float
    bytes_per_second: float
    images_per_second_by_flops: float
    images_per_second_by_bytes: float
    percent: float
    """The share of the lower of the two, with each product of a direct convolution."""
    winograd: WinogradRecord | None
    """On a CPU in fp32; None elsewhere."""


class BenchRecord(TypedDict):
    """What ``rescli bench`` prints as one JSON object."""

    benchmark: str
    date: str
    command: str | None
    device: str
    precision: str
    threads: int | None
    load_average: float
    other_load: OtherLoad | None
    rescli_version: str
    versions: dict[str, str | None]
    platform: str
    git: object
    driver: str | None
    dataset: str
    model: str
    batch_size: int
    rounds: int
    engine: str | None
    kernels: str | None
    operations_per_step: int | None
    kernels_per_step: int | None
    contenders: dict[str, BenchRow]
    failed: dict[str, str]
    ratios: dict[str, Spread]
    roofline: RooflineRecord | None


def summarize(
    lanes: Sequence[Lane],
    spec: RunSpec,
    numerics: Numerics,
    *,
    rounds: int,
    command: str | None = None,
    other_load: OtherLoad | None = None,
    winograd_tile: int = 4,
) -> BenchRecord:
    """Speeds of all contenders, and ratios of the whole loop to the others, each of the same round.

    Args:
        lanes: what each contender did.
        spec: the run that was timed.
        numerics: the device and its precision.
        rounds: how often each was timed.
        command: what was typed, to be kept with the numbers.
        other_load: what else the processors did meanwhile.
        winograd_tile: side of the tiles for which a CPU's roofline in fp32 counts Winograd's products.
    """
    ran = {lane.entry.label: lane for lane in lanes if lane.failed is None}
    own = ran.get("whole-loop")
    made_by = provenance()
    return {
        "benchmark": "bench",
        "date": now(),
        "command": command,
        "device": device_name(numerics),
        "precision": numerics.precision,
        "threads": next((lane.ready["threads"] for lane in ran.values()), None),
        "load_average": round(os.getloadavg()[0], 2),
        "other_load": other_load,
        "rescli_version": made_by["rescli_version"],
        "versions": made_by["versions"],
        "platform": made_by["platform"],
        "git": made_by["git"],
        "driver": gpu_driver() if numerics.device.type == "cuda" else None,
        "dataset": spec.data.dataset.kind,
        "model": spec.model.name,
        "batch_size": spec.data.batch_size,
        "rounds": rounds,
        "engine": own.ready.get("engine") if own else None,
        "kernels": own.ready.get("kernels") if own else None,
        "operations_per_step": own.measured.get("operations_per_step") if own else None,
        "kernels_per_step": own.measured.get("kernels_per_step") if own else None,
        "contenders": {name: _row(lane, spec.data.batch_size) for name, lane in ran.items()},
        "failed": {lane.entry.label: lane.failed for lane in lanes if lane.failed is not None},
        "ratios": _ratios(ran),
        "roofline": _roofline(own, spec, numerics, winograd_tile) if own else None,
    }


def spread(values: Sequence[float], digits: int) -> Spread:
    """Median, quartiles and extremes, rounded to so many digits."""
    q1, median, q3 = (round(cut, digits) for cut in statistics.quantiles(values, n=4, method="inclusive"))
    low, high = round(min(values), digits), round(max(values), digits)
    return {"median": median, "q1": q1, "q3": q3, "min": low, "max": high}


def _row(lane: Lane, batch_size: int) -> BenchRow:
    speed = spread(lane.images_per_second, 1)
    return {
        "images_per_second": speed,
        "milliseconds_per_step": round(1000 * batch_size / speed["median"], 3),
        "steps_per_window": lane.steps,
        "first_step_seconds": round(lane.ready["first_step_seconds"], 2),
        "peak_memory_bytes": lane.peak_memory_bytes,
    }


def _ratios(ran: dict[str, Lane]) -> dict[str, Spread]:
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


def _roofline(own: Lane, spec: RunSpec, numerics: Numerics, winograd_tile: int) -> RooflineRecord | None:
    dataset = spec.data.dataset
    layout = spec.model.layout(num_classes=dataset.num_classes, image_size=dataset.image_size)
    if layout is None or "ceilings" not in own.measured:
        return None
    ceilings = own.measured["ceilings"]
    bounds = roofline(layout, precision=numerics.precision, **ceilings)
    speed = statistics.median(own.images_per_second)
    winograd: WinogradRecord | None = None
    if numerics.device.type == "cpu" and numerics.precision == "fp32":
        fewer = layout.macs / winograd_macs(layout, tile=winograd_tile)
        winograd = {
            "tile": winograd_tile,
            "fewer_products": round(fewer, 3),
            "images_per_second_by_flops": round(bounds.by_flops * fewer, 1),
            "percent": round(100 * speed / min(bounds.by_flops * fewer, bounds.by_bytes), 1),
        }
    return {
        "flops_per_second": float(f"{ceilings['flops_per_second']:.4g}"),
        "bytes_per_second": float(f"{ceilings['bytes_per_second']:.4g}"),
        "images_per_second_by_flops": round(bounds.by_flops, 1),
        "images_per_second_by_bytes": round(bounds.by_bytes, 1),
        "percent": round(100 * speed / bounds.bound, 1),
        "winograd": winograd,
    }
