"""What the race and the processes of its contenders tell each other: one line of JSON each."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from rescli.spec.toml import Table

__all__ = ["Ceilings", "LoopReady", "Measured", "RaceRequest", "WindowResult", "WorkerRequest"]


class Ceilings(TypedDict):
    """What the device can do at best."""

    flops_per_second: float
    """In a matrix product in the run's precision, two per multiply-add."""
    bytes_per_second: float
    """In a copy within the device's memory, read and written bytes together."""


class RaceRequest(TypedDict):
    """What every contender is told."""

    spec: Table
    device: str
    precision: str
    engine: str
    kernels: str
    data_root: str | None
    threads: int | None


class WorkerRequest(RaceRequest):
    """What one contender is told."""

    contender: str
    workers: int | None
    launched: float
    """Seconds since the epoch when its process was started."""


class LoopReady(TypedDict, total=False):
    """What is known of a contender after its first steps; ``failed`` alone where it does not work here."""

    first_step_seconds: float
    step_seconds: float
    engine: str | None
    kernels: str | None
    threads: int
    failed: str


class WindowResult(TypedDict, total=False):
    """One timed window; ``failed`` alone where its process ended."""

    images: int
    seconds: float
    peak_memory_bytes: int
    failed: str


class Measured(TypedDict):
    """What the whole loop's step launches, and what the device could do; nothing of the others."""

    operations_per_step: NotRequired[int]
    kernels_per_step: NotRequired[int | None]
    ceilings: NotRequired[Ceilings]
