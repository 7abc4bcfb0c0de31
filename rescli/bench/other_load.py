"""What else kept the processors busy while contenders were timed, as Linux counts it in ``/proc``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

__all__ = ["OtherLoad", "OtherLoadWatch", "OtherProgram"]

_NAMED = 3
"""How many programs are named, the busiest."""

_LEAST_CORES = 0.01
"""What a program must have used to be named: below it, a tick of 10 ms in a second of timing counts."""


class OtherProgram(TypedDict):
    """A program that is none of the benchmark's; processes of one name are taken together."""

    name: str
    cores: float
    """Cores that it kept busy, as an average over the race."""


class OtherLoad(TypedDict):
    """What the processors did beside the benchmark, from the first timed window to the last."""

    cores: int
    """Processors that this process may run on: the others are not looked at."""
    seconds: float
    others_percent: float
    """What neither the benchmark nor its processes used of the time of these processors."""
    stolen_percent: float
    """What the host of a virtual machine gave to other machines of that time."""
    programs: list[OtherProgram]
    """The busiest that can be seen from here: of another container there are none."""


@dataclass(frozen=True)
class _Process:
    name: str
    parent: int
    own_ticks: int
    reaped_ticks: int
    """What children used that ended and were waited for."""
    started: int
    core: int
    """On which it ran last."""


@dataclass(frozen=True)
class _Snapshot:
    busy: int
    stolen: int
    total: int
    ours: int
    """All in ticks, summed over the usable processors; of our processes, over all of them."""


class OtherLoadWatch:
    """Counts the time of the processors between ``begin`` and the latest ``sample``.

    A program that ends between two samples is counted up to the one before; its time is in the sum of the
    others all the same.

    Args:
        proc: where Linux shows its counts.
        own_pid: the process that, with all its descendants, is the benchmark; None for this one.
        cores: processors to look at; None for those that this process may run on.
    """

    def __init__(
        self, *, proc: Path = Path("/proc"), own_pid: int | None = None, cores: set[int] | None = None
    ) -> None:
        self._proc = proc
        self._own_pid = os.getpid() if own_pid is None else own_pid
        self._cores = _usable() if cores is None else cores
        self._ours: set[tuple[int, int]] = set()
        self._before: dict[tuple[int, int], int] = {}
        self._used: dict[tuple[int, int], tuple[str, int]] = {}
        self._first: _Snapshot | None = None
        self._last: _Snapshot | None = None

    def begin(self) -> None:
        """Start to count."""
        processes = self._processes()
        self._before = {(pid, each.started): each.own_ticks for pid, each in processes.items()}
        self._first = self._last = self._snapshot(processes)

    def sample(self) -> None:
        """Look again; the time up to here counts."""
        processes = self._processes()
        self._last = self._snapshot(processes)
        for pid, each in processes.items():
            key = pid, each.started
            ticks = each.own_ticks - self._before.get(key, 0)
            if key not in self._ours and each.core in self._cores and ticks > 0:
                self._used[key] = each.name, ticks

    def result(self) -> OtherLoad | None:
        """What was found; None where the system does not show it."""
        if self._first is None or self._last is None or self._last.total <= self._first.total:
            return None
        total = self._last.total - self._first.total
        # Of ours whose parent had ended, nobody keeps the time when they end too.
        ours = max(0, self._last.ours - self._first.ours)
        others = max(0, self._last.busy - self._first.busy - ours)
        ticks_per_core = total / len(self._cores)
        by_name: Counter[str] = Counter()
        for (pid, started), (name, ticks) in self._used.items():
            if (pid, started) not in self._ours:
                by_name[name] += ticks
        programs: list[OtherProgram] = [
            {"name": name, "cores": round(ticks / ticks_per_core, 2)}
            for name, ticks in by_name.most_common(_NAMED)
            if ticks / ticks_per_core >= _LEAST_CORES
        ]
        return {
            "cores": len(self._cores),
            "seconds": round(ticks_per_core / os.sysconf("SC_CLK_TCK"), 1),
            "others_percent": round(100 * others / total, 1),
            "stolen_percent": round(100 * (self._last.stolen - self._first.stolen) / total, 1),
            "programs": programs,
        }

    def _snapshot(self, processes: dict[int, _Process]) -> _Snapshot | None:
        rows = dict(self._processor_times())
        if not self._cores or not self._cores <= set(rows):
            return None
        # user nice system idle iowait irq softirq steal; what guests used is within user and nice.
        times = [sum(column) for column in zip(*(rows[core] for core in self._cores), strict=True)]
        user, nice, system, _, _, irq, softirq, stolen = times
        self._find_ours(processes)
        ours = sum(
            each.own_ticks + each.reaped_ticks
            for pid, each in processes.items()
            if (pid, each.started) in self._ours
        )
        return _Snapshot(user + nice + system + irq + softirq, stolen, sum(times), ours)

    def _find_ours(self, processes: dict[int, _Process]) -> None:
        """Descendants; one whose parent ended since, and which has another now, stays ours."""
        for pid, each in processes.items():
            line = [pid]
            while line[-1] in processes and line[-1] != self._own_pid and len(line) <= len(processes):
                line.append(processes[line[-1]].parent)
            if self._own_pid in line:
                self._ours.add((pid, each.started))

    def _processor_times(self) -> Iterator[tuple[int, list[int]]]:
        with suppress(OSError, ValueError):
            for line in (self._proc / "stat").read_text().splitlines():
                name, *times = line.split()
                if name.startswith("cpu") and name != "cpu" and len(times) >= 8:
                    yield int(name[3:]), [int(time) for time in times[:8]]

    def _processes(self) -> dict[int, _Process]:
        found = {}
        with suppress(OSError):
            for folder in self._proc.iterdir():
                if folder.name.isdecimal():
                    # One that ended meanwhile has no file any more.
                    with suppress(OSError, ValueError, IndexError):
                        found[int(folder.name)] = _parse(
                            (folder / "stat").read_text(encoding="utf-8", errors="replace")
                        )
        return found


def _parse(stat: str) -> _Process:
    """One line of ``/proc/PID/stat``, as ``man 5 proc`` numbers its fields from 1."""
    before, _, after = stat.rpartition(")")  # a name may have brackets and spaces in it
    fields = ["", "", *after.split()]
    return _Process(
        name=before.partition("(")[2],
        parent=int(fields[3]),
        own_ticks=int(fields[13]) + int(fields[14]),
        reaped_ticks=int(fields[15]) + int(fields[16]),
        started=int(fields[21]),
        core=int(fields[38]),
    )


def _usable() -> set[int]:
    try:
        return os.sched_getaffinity(0)
    except (AttributeError, OSError):  # macOS and Windows have neither this nor /proc
        return set()
