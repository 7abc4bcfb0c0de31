"""How much memory there is for this process: the machine's, and what limits it. Imports no torch."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rescli.hardware.threads.cores import own_groups

__all__ = ["MachineMemory", "machine_memory"]

_MEMINFO = Path("/proc/meminfo")
_NO_LIMIT = 2**60
"""Version 1 of control groups writes a huge number for none."""


@dataclass(frozen=True)
class MachineMemory:
    """Bytes.

    Attributes:
        total: of the machine; None where nobody says.
        available: of it, without swapping.
        group_limit: what the control group allows; None without a limit.
        group_used: of that, without what only caches files.
        process_limit: of addresses (``ulimit -v``); None without a limit.
    """

    total: int | None
    available: int | None
    group_limit: int | None
    group_used: int | None
    process_limit: int | None

    @property
    def free(self) -> int | None:
        """What this process may still take, by the tightest of all."""
        left = [] if self.available is None else [self.available]
        if self.group_limit is not None:
            left.append(max(0, self.group_limit - (self.group_used or 0)))
        if self.process_limit is not None:
            left.append(self.process_limit)
        return min(left, default=None)


def machine_memory() -> MachineMemory:
    """Read it."""
    info = _meminfo()
    tightest = min(_groups(), default=(None, None), key=lambda one: one[0])
    total = info.get("MemTotal")
    limit, used = tightest
    if limit is not None and total is not None and limit >= total:
        limit = used = None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return MachineMemory(
        total, info.get("MemAvailable"), limit, used, None if soft == resource.RLIM_INFINITY else soft
    )


def _meminfo() -> dict[str, int]:
    found = {}
    with suppress(OSError, ValueError):
        for line in _MEMINFO.read_text(encoding="ascii", errors="replace").splitlines():
            name, _, value = line.partition(":")
            found[name] = int(value.split()[0]) * 1024
    return found


def _groups() -> Iterator[tuple[int, int]]:
    """(limit, used) of each group that has a limit."""
    for folder in own_groups("memory"):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            with suppress(OSError, ValueError):  # absent, or "max"
                allowed = int((folder / limit).read_text())
                if allowed < _NO_LIMIT:
                    yield allowed, int((folder / used).read_text()) - _file_cache(folder)


def _file_cache(folder: Path) -> int:
    with suppress(OSError, ValueError):
        for line in (folder / "memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                return int(value)
    return 0
