"""What the processor is called and which instructions it has, as Linux tells it. Imports no torch."""

from __future__ import annotations

import platform
from pathlib import Path

__all__ = ["processor_flags", "processor_name"]

_CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """The maker's name of it; the name of its kind where the system knows none."""
    lines = _lines()
    if lines is None:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def processor_flags() -> frozenset[str]:
    """Its instructions as the kernel names them, ``avx2``; empty where nobody says."""
    lines = _lines() or []
    first = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return frozenset(first.partition(":")[2].split())


def _lines() -> list[str] | None:
    try:
        return _CPUINFO.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
