"""How many cores are this process's to use: not the machine's, where others share it (needs no torch)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

__all__ = ["cpu_quota", "own_groups", "usable_cores"]

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Cores by affinity (``taskset``, a cpuset, Slurm) and by the quota of the control group (Docker's
    ``cpus``, Kubernetes' limits), rounded up; at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS has none
        cores = os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas())]))


def cpu_quota() -> float | None:
    """Cores that the control group lets this process use on average; None without a limit."""
    return min(_quotas(), default=None)


def own_groups(controller: str) -> Iterator[Path]:
    """Folders of the control groups of this process, from its own up to the root.

    Args:
        controller: ``cpu`` or ``memory``; those of version 2 hold all controllers.
    """
    try:
        lines = _OWN_CGROUPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if not controllers:
            yield from _groups(_CGROUPS, group)
        elif controller in controllers.split(","):
            for mount in dict.fromkeys((controllers, controller)):
                yield from _groups(_CGROUPS / mount, group)


def _quotas() -> Iterator[float]:
    """Cores that each group, from this process's own up to the root, may use; none without a limit."""
    for folder in own_groups("cpu"):
        yield from _quota((folder / "cpu.max",))
        yield from _quota((folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"))


def _groups(root: Path, group: str) -> Iterator[Path]:
    """The group's folder and those above it; a container sees its own group as the root."""
    inside = PurePosixPath(group.lstrip("/"))
    for part in (inside, *inside.parents):
        if ".." not in part.parts:  # outside of what is mounted here
            yield root / part


def _quota(files: tuple[Path, ...]) -> Iterator[float]:
    with suppress(OSError, ValueError, ZeroDivisionError):  # absent, or "max": no limit
        microseconds, period = (int(word) for file in files for word in file.read_text().split())
        if microseconds > 0:
            yield microseconds / period
