"""How long the threads that compute wait for each other: long where the cores are theirs, else short.

A thread that spins while it waits goes on at once; but beside other programs it burns the time that the
thread it waits for would need. So it is watched how the cores are shared, and the way of waiting follows.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch

from rescli.hardware.launcher import num_ranks
from rescli.hardware.threads.openmp import ShortWaiting, find_libgomp
from rescli.hardware.threads.processor_time import Seen, read_processor_time

__all__ = ["Waiting", "Watch", "decide", "watching", "why_unwatched"]

_log = logging.getLogger(__name__)

_SETTINGS = (
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    # These say how many threads there may be and where they run, on which switching relies.
    "OMP_DYNAMIC",
    "OMP_THREAD_LIMIT",
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "GOMP_CPU_AFFINITY",
)
"""Variables by which a user decides. OMP_NUM_THREADS says nothing of waiting, and batch systems set it."""

_PERIOD = 0.5
_BUSY_SECONDS = 0.9
"""How long it must look busy: two readings, so that a moment's work of a thread of ours is none."""

_BUSY, _CALM = 0.2, 0.1
"""Threads of ours without a core, on average. Idle it is 0.02, beside one busy process 0.5 and more."""

_CROWDED = 0.25
"""Cores by which others may exceed what our threads leave them."""

_RESTING = 0.1
"""Cores that our threads use: below it nothing waits for them, whoever has the others."""

_PATIENCE, _MOST_PATIENCE = 3.0, 60.0
"""Seconds of calm until the threads wait long again; more where that was wrong the last time."""

_SAY_SECONDS = 5.0

_REMEMBER_SECONDS = 10.0
"""A watch that begins so soon after another goes on as that one ended."""


@dataclass(frozen=True)
class Waiting:
    """How the threads wait, and what it was decided by.

    Attributes:
        short: whether they sleep almost at once.
        toward: seconds for which it has looked as if the other way were right.
        patience: seconds of calm that end short waiting.
        since: seconds since the way last changed.
    """

    short: bool = False
    toward: float = 0.0
    patience: float = _PATIENCE
    since: float = float("inf")


def decide(waiting: Waiting, seen: Seen, *, threads: int, cores: int) -> Waiting:
    """How to wait from now on.

    Args:
        waiting: how the threads have waited so far.
        seen: how the cores were shared in the meantime.
        threads: how many of ours compute.
        cores: how many they may use.
    """
    crowded = seen.others is not None and seen.others + threads > cores + _CROWDED
    delayed = seen.without_core
    since = waiting.since + seen.seconds
    if not waiting.short:
        busy = crowded and seen.computed >= _RESTING if delayed is None else delayed >= _BUSY
        toward = waiting.toward + seen.seconds if busy else 0.0
        if toward < _BUSY_SECONDS:
            return replace(waiting, toward=toward, since=since)
        too_early = since < 4 * waiting.patience
        patience = min(2 * waiting.patience, _MOST_PATIENCE) if too_early else _PATIENCE
        return Waiting(short=True, patience=patience, since=0.0)
    if seen.computed + (delayed or 0.0) < threads / 4:  # who hardly computes cannot tell
        return replace(waiting, since=since)
    calm = not crowded and (delayed is None or delayed < _CALM)
    toward = waiting.toward + seen.seconds if calm else 0.0
    if toward < waiting.patience:
        return replace(waiting, toward=toward, since=since)
    return Waiting(short=False, patience=waiting.patience, since=0.0)


def why_unwatched() -> str | None:
    """Why the threads wait as the environment or another runtime has it; None where it is decided here."""
    given = [name for name in _SETTINGS if os.environ.get(name)]
    if given:
        return f"{given[0]} is set"
    if torch.get_num_threads() < 2:
        return "one thread alone has no other to wait for"
    if find_libgomp() is None:
        return "the threads are not of GNU's OpenMP runtime"
    if read_processor_time() is None:
        return "nothing tells how the cores are shared"
    return None


class Watch:
    """Watches how the cores are shared while its block lasts; at the end all is as it was."""

    _left: ClassVar[tuple[Waiting, float]] = (Waiting(), float("-inf"))
    """How the threads waited when the last watch ended, and when that was."""

    def __init__(self, *, say: bool = True) -> None:
        """Nothing is watched yet.

        Args:
            say: log a warning when other programs have taken cores for some seconds.
        """
        left, ended = Watch._left
        self._waiting = left if time.monotonic() - ended < _REMEMBER_SECONDS else Waiting()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._held: ShortWaiting | None = None
        self._short_seconds = 0.0
        self._threads = 1
        # Of several ranks, the other programs are for the most part the other ranks.
        self._said = not say or num_ranks() > 1
        self._process = os.getpid()

    @property
    def short_seconds(self) -> float | None:
        """For how long the threads waited short, beside other programs; None where nothing watches."""
        return self._short_seconds if self._thread is not None else None

    @property
    def runs_here(self) -> bool:
        """False in a process that was forked from the one that is watched."""
        return self._process == os.getpid()

    def __enter__(self) -> Watch:
        libgomp = find_libgomp()
        if libgomp is not None and why_unwatched() is None:
            self._threads = torch.get_num_threads()  # each thread has a number of its own; this one's counts
            thread = threading.Thread(target=self._watch, args=(libgomp,), name="rescli-waiting", daemon=True)
            try:
                thread.start()
                self._thread = thread
            except RuntimeError:  # no room for it: nothing watches
                pass
            except BaseException:  # interrupted, and nobody will leave the block
                self._over.set()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None and self.runs_here:
            self._thread.join()

    def _watch(self, libgomp: Path) -> None:
        last, now = read_processor_time(), time.monotonic()
        try:
            if self._waiting.short and last is not None:
                self._switch(libgomp, last.cores)
            while not self._over.wait(_PERIOD):
                reading, before, now = read_processor_time(), now, time.monotonic()
                if self._held is not None:
                    self._short_seconds += now - before
                if last is None or reading is None:
                    return
                seen, last = reading.since(last), reading
                self._waiting = decide(self._waiting, seen, threads=self._threads, cores=reading.cores)
                self._switch(libgomp, reading.cores)
                self._say(seen, reading.cores)
        finally:
            Watch._left = (self._waiting, time.monotonic())
            if self._held is not None:
                self._held.end()

    def _switch(self, libgomp: Path, cores: int) -> None:
        if self._waiting.short and self._held is None:
            # With those of the pool that computes, one more than cores.
            extra = max(1, cores - self._threads + 1)
            with suppress(OSError, RuntimeError):  # then it stays as it is
                self._held = ShortWaiting(libgomp, extra)
        elif not self._waiting.short and self._held is not None:
            self._held.end()
            self._held = None

    def _say(self, seen: Seen, cores: int) -> None:
        others = seen.others or 0.0
        if not self._said and self._short_seconds >= _SAY_SECONDS and others >= _CROWDED:
            self._said = True
            _log.warning(
                "other programs use %.1f of the %d cores here: until they end, this takes longer.",
                *(others, cores),
            )


_watches: list[Watch] = []


@contextmanager
def watching(device: torch.device, *, say: bool = True) -> Iterator[Watch | None]:
    """Watch while the block computes on a CPU; within another such block, that one's watch goes on.

    Args:
        device: what the block computes on.
        say: as for ``Watch``.
    """
    if device.type != "cpu":
        yield None
        return
    if _watches and _watches[-1].runs_here:
        yield _watches[-1]
        return
    with Watch(say=say) as watch:
        _watches.append(watch)
        try:
            yield watch
        finally:
            _watches.remove(watch)
