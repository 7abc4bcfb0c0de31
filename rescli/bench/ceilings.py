"""What the device can do at best, measured beside the training: a matrix product, and a copy."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from rescli.bench.wire import Ceilings
from rescli.hardware.numerics import Numerics

__all__ = ["measure_ceilings"]

_SECONDS, _TIMES = 0.2, 5
"""How long, and how often at least, each of the two is repeated."""


def measure_ceilings(numerics: Numerics) -> Ceilings:
    """Time a matrix product in the run's precision, and a copy within the device's memory."""
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
    """The least of several times, in seconds."""
    took: list[float] = []
    ends = time.perf_counter() + _SECONDS
    while time.perf_counter() < ends or len(took) < _TIMES:
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took.append(time.perf_counter() - began)
    return min(took)
