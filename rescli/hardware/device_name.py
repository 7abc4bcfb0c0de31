"""What a device is called in results: its kind, and the maker's name for it."""

from __future__ import annotations

import torch

from rescli.hardware.numerics import Numerics
from rescli.hardware.processor import processor_name
from rescli.plurals import counted

__all__ = ["device_name"]


def device_name(numerics: Numerics) -> str:
    """``cpu (AMD EPYC ..., 2 threads)`` or ``cuda:0 (NVIDIA H100 ...)``."""
    if numerics.device.type == "cuda":
        return f"{numerics.device} ({torch.cuda.get_device_name(numerics.device)})"
    if numerics.device.type == "cpu":
        return f"cpu ({processor_name()}, {counted(torch.get_num_threads(), 'thread')})"
    return str(numerics.device)
