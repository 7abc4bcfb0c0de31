"""Where and with what a run is computed: all that is no part of its spec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Where"]


@dataclass(frozen=True)
class Where:
    """The machine's side of a run. What changes no result stands here; all else is in the spec.

    Attributes:
        device: auto, cpu, cuda, cuda:1, mps.
        data_root: the folder of the images; None for where the run had them, RESCLI_DATA, or
            the user's cache.
        workers: processes that decode photographs; None for as many as suit the device.
        engine: what launches the steps; None for ``auto``, or for the one that the run began with.
        kernels: what normalises and adds between convolutions; None as for ``engine``.
        threads: of the CPU, that compute; None for as many as there are cores, or as the run began with: in
            another number, sums are rounded otherwise.
        convolutions: what computes those of the native kernels, of a run that goes on; None for the fastest.
    """

    device: str = "auto"
    data_root: Path | None = None
    workers: int | None = None
    engine: str | None = None
    kernels: str | None = None
    threads: int | None = None
    convolutions: str | None = None
