"""What the device can do at best, measured beside the training: a matrix product, and a copy."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from rescli.hardware.numerics import Numerics

__all__ = ["measure_ceilings"]

_SECONDS = 0.2
"""For each of the figures, and so many times at least."""
_TIMES = 5


def measure_ceilings(numerics: Numerics) -> dict[str, float]:
    """``flops_per_second`` of a matrix product in the run's precision (two per multiply-add), and
    ``bytes_per_second`` of a copy within the device's memory, read and written bytes together."""
    device = numerics.device
    on_gpu = device.type == "cuda"
    flops = 0.0
    for side in (4096, 8192) if on_gpu else (512, 1024, 2048):
        one, other = (torch.randn(side, side, device=device).to(numerics.dtype) for _ in range(2))
        flops = max(flops, 2 * side**3 / _fastest(lambda: one @ other, device))  # noqa: B023
    # Far more than any cache holds.
    source = torch.ones((1 << 30) if on_gpu else (1 << 27), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    bandwidth = 2 * len(source) / _fastest(lambda: target.copy_(source), device)
    return {"flops_per_second": flops, "bytes_per_second": bandwidth}


def _fastest(work: Callable[[], torch.Tensor], device: torch.device) -> float:
    """Seconds, the least of several."""
    took: list[float] = []
    ends = time.perf_counter() + _SECONDS
    while time.perf_counter() < ends or len(took) < _TIMES:
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took.append(time.perf_counter() - began)
    return min(took)
