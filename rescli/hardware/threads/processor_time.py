"""How the cores of this process are shared: what it computed, what it waited for a core, what others took."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Reading", "Seen", "read_processor_time"]

_PROC = Path("/proc")

_NICE = 1
_BUSY_COLUMNS = (0, 2, 5, 6)
"""Columns of /proc/stat: user, system and both kinds of interrupts. What is nice stands back for us."""


@dataclass(frozen=True)
class Seen:
    """How the cores were shared for a while.

    Attributes:
        seconds: how long that was.
        computed: cores that threads of this process used, on average.
        without_core: threads of this process that were ready and had no core, on average; None where the
            kernel does not say so.
        others: cores that other programs used, of those that this process may use and without the processes
            that it began; None where the kernel does not say so.
    """

    seconds: float
    computed: float
    without_core: float | None
    others: float | None


@dataclass(frozen=True)
class Reading:
    """What the kernel has counted so far, in seconds.

    Attributes:
        at: when it was read.
        computed: by this process.
        delays: by the number of a thread of this process: how long it waited for a core; None as in Seen.
        used: of the cores that this process may use, by anybody; None as in Seen.
        by_children: by the number of a process that this one began: what it computed.
        cores: how many this process may use.
    """

    at: float
    computed: float
    delays: Mapping[int, float] | None
    used: float | None
    by_children: Mapping[int, float]
    cores: int

    def since(self, before: Reading) -> Seen:
        """What happened between two readings."""
        seconds = max(self.at - before.at, 1e-9)
        computed = self.computed - before.computed
        delay = others = None
        if self.delays is not None and before.delays is not None:
            delay = _grown(before.delays, self.delays)
        if self.used is not None and before.used is not None:
            ours = computed + _grown(before.by_children, self.by_children)
            others = max(0.0, self.used - before.used - ours)
        return Seen(
            seconds=seconds,
            computed=computed / seconds,
            without_core=None if delay is None else delay / seconds,
            others=None if others is None else others / seconds,
        )


def read_processor_time() -> Reading | None:
    """Read what the kernel counts; None where it says nothing of how the cores are shared."""
    try:
        cores = os.sched_getaffinity(0)
        threads = [int(name) for name in os.listdir(_PROC / "self" / "task")]
    except (AttributeError, OSError):
        return None
    reading = Reading(
        at=time.monotonic(),
        computed=time.process_time(),
        delays=_delays(threads),
        used=_used(cores),
        by_children=dict(_by_children(threads)),
        cores=len(cores),
    )
    return None if reading.delays is None and reading.used is None else reading


def _grown(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """By how much those grew that were there both times: one that has ended takes its count along."""
    return sum(value - before[key] for key, value in after.items() if key in before)


def _delays(threads: list[int]) -> dict[int, float] | None:
    found, computed = {}, 0
    for thread in threads:
        with suppress(OSError, ValueError, IndexError):  # it has ended
            words = (_PROC / "self" / "task" / str(thread) / "schedstat").read_text().split()
            computed += int(words[0])
            found[thread] = int(words[1]) / 1e9
    return found if computed else None  # a kernel may have the file and count nothing


def _used(cores: set[int]) -> float | None:
    are_nice = os.getpriority(os.PRIO_PROCESS, 0) > 0
    columns = (*_BUSY_COLUMNS, _NICE) if are_nice else _BUSY_COLUMNS
    named = {f"cpu{core}" for core in cores}
    try:
        lines = (_PROC / "stat").read_text().splitlines()
        ticks = sum(
            int(words[1 + column])
            for words in map(str.split, lines)
            if words and words[0] in named
            for column in columns
        )
    except (OSError, ValueError, IndexError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else None


def _by_children(threads: list[int]) -> Iterator[tuple[int, float]]:
    """Processes that decode images, compile or write for this one are no other programs."""
    for thread in threads:
        with suppress(OSError, ValueError, IndexError):
            children = (_PROC / "self" / "task" / str(thread) / "children").read_text().split()
            for child in children:
                words = (_PROC / child / "stat").read_text().rpartition(")")[2].split()
                yield int(child), (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
