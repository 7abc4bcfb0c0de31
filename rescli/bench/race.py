"""Contenders against each other: in each round every one is timed once, so that all meet the same weather."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from rescli.errors import UsageError

__all__ = ["Entry", "Lane", "race"]

_SETTLE_SECONDS = 0.05
"""Between two windows: threads of the one before stop spinning."""

_FEWEST_STEPS = 3

_WARMUP = 0.4
"""Of a window, untimed before it: while others ran, caches went cold and the clock of the cores went down."""


@dataclass(frozen=True)
class Entry:
    """A contender as it is asked for. workers: of its DataLoader; None for as many as suit the device."""

    label: str
    contender: str
    workers: int | None = None


@dataclass
class Lane:
    """What one contender did. seconds, images: of each round's window. failed: why there are none."""

    entry: Entry
    ready: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    steps: int = 0
    images: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    peak_memory_bytes: int | None = None
    failed: str | None = None

    @property
    def images_per_second(self) -> list[float]:
        return [images / seconds for images, seconds in zip(self.images, self.seconds, strict=True)]


def race(
    entries: Sequence[Entry],
    request: dict[str, Any],
    *,
    rounds: int,
    window_seconds: float,
    progress: Callable[[str, float | None], None] = lambda *_: None,
) -> list[Lane]:
    """Time each contender ``rounds`` times, in turn, in windows of about so many seconds.

    request: what ``rescli.bench.worker`` is told, the same for all. A contender that does not work here is
    told by ``failed``; the others run. progress: called with what begins and, from the second round on, the
    seconds that this and the later rounds will take.

    Raises:
        UsageError: none of them works.
    """
    lanes = [Lane(entry) for entry in entries]
    with ExitStack() as stack:
        workers: list[tuple[Lane, _Worker]] = []
        for lane in lanes:
            progress(f"starts {lane.entry.label}", None)
            worker = stack.enter_context(_started(lane, request))
            if lane.failed is None:
                workers.append((lane, worker))
        if not workers:
            raise UsageError(f"no contender works here: {lanes[0].failed}")
        began = time.monotonic()
        for number in range(rounds):
            a_round = (time.monotonic() - began) / number if number else None
            left = (rounds - number) * a_round if a_round is not None else None
            progress(f"round {number + 1} of {rounds}", left)
            for lane, worker in list(workers):
                if not lane.steps:
                    lane.steps = max(_FEWEST_STEPS, math.ceil(window_seconds / lane.ready["step_seconds"]))
                time.sleep(_SETTLE_SECONDS)
                answer = worker.ask({"warmup": math.ceil(_WARMUP * lane.steps), "steps": lane.steps})
                if "failed" in answer:
                    lane.failed = answer["failed"]
                    workers.remove((lane, worker))
                    continue
                lane.images.append(answer["images"])
                lane.seconds.append(answer["seconds"])
                lane.peak_memory_bytes = answer["peak_memory_bytes"]
        progress("counts what a step launches", None)
        for lane, worker in workers:
            # After the races: counting and the device's ceilings take time and memory of their own.
            lane.measured = worker.ask({"measure": True})
    return lanes


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    errors: IO[str]

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
            answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            return {"failed": self._last_words()}
        return answer

    def _last_words(self) -> str:
        self.process.wait()
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return lines[-1] if lines else f"its process ended with {self.process.returncode}"


@contextmanager
def _started(lane: Lane, request: dict[str, Any]) -> Iterator[_Worker]:
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "rescli.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        worker = _Worker(process, errors)
        try:
            asked = {"contender": lane.entry.contender, "workers": lane.entry.workers}
            lane.ready = worker.ask({**request, **asked, "launched": time.time()})
            lane.failed = lane.ready.get("failed")
            yield worker
        finally:
            process.kill()
