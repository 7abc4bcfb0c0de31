"""What a device is called in results: its kind, and the maker's name for it."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from rescli.hardware.numerics import Numerics
from rescli.plurals import counted

__all__ = ["device_name"]


def device_name(numerics: Numerics) -> str:
    """``cpu (AMD EPYC ..., 2 threads)`` or ``cuda:0 (NVIDIA H100 ...)``."""
    if numerics.device.type == "cuda":
        return f"{numerics.device} ({torch.cuda.get_device_name(numerics.device)})"
    if numerics.device.type == "cpu":
        return f"cpu ({_cpu_model()}, {counted(torch.get_num_threads(), 'thread')})"
    return str(numerics.device)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
