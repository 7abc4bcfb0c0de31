"""Contenders against each other: each is timed once in every round, so that all meet the same conditions."""

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
from typing import IO, Any, cast

from rescli.bench.other_load import OtherLoadWatch
from rescli.bench.wire import LoopReady, Measured, RaceRequest, WindowResult, WorkerRequest
from rescli.errors import UsageError

__all__ = ["Lane", "LoopRequest", "race"]

_SETTLE_SECONDS = 0.05
"""Rest between two windows, in which threads of the one before stop spinning."""

_FEWEST_STEPS = 3

_WARMUP = 0.4
"""Share of a window that runs untimed before it: caches went cold while others ran, and cores slowed down."""


@dataclass(frozen=True)
class LoopRequest:
    """A contender as it is asked for.

    Args:
        label: its name in the results.
        contender: which loop it is, of ``rescli.bench.contenders``.
        workers: processes of its DataLoader; None for as many as suit the device.
    """

    label: str
    contender: str
    workers: int | None = None


@dataclass
class Lane:
    """What one contender did.

    Args:
        entry: what was asked for.
        ready: what is known of it after its first steps.
        measured: what its step launches, and what the device can do.
        steps: how many a window has.
        images: how many each round's window trained on.
        seconds: how long each round's window took.
        peak_memory_bytes: the most memory that it held.
        failed: why there are no windows, or no more.
    """

    entry: LoopRequest
    ready: LoopReady = field(default_factory=LoopReady)
    measured: Measured = field(default_factory=Measured)
    steps: int = 0
    images: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    peak_memory_bytes: int | None = None
    failed: str | None = None

    @property
    def images_per_second(self) -> list[float]:
        return [images / seconds for images, seconds in zip(self.images, self.seconds, strict=True)]


def race(
    entries: Sequence[LoopRequest],
    request: RaceRequest,
    *,
    rounds: int,
    window_seconds: float,
    progress: Callable[[str, float | None], None] = lambda *_: None,
    watch: OtherLoadWatch | None = None,
) -> list[Lane]:
    """Time each contender ``rounds`` times, in turn, in windows of about so many seconds.

    A contender that does not work here has ``failed`` set; the others run.

    Args:
        entries: the contenders.
        request: what ``rescli.bench.worker`` is told, the same for all.
        rounds: how often each is timed.
        window_seconds: how long, about.
        progress: called with what begins and, from the second round on, the seconds that this and the later
            rounds will take.
        watch: counts what other programs do from the first window to the last.

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
        watch = watch or OtherLoadWatch()
        watch.begin()
        began = time.monotonic()
        for number in range(rounds):
            a_round = (time.monotonic() - began) / number if number else None
            left = (rounds - number) * a_round if a_round is not None else None
            progress(f"round {number + 1} of {rounds}", left)
            for lane, worker in list(workers):
                if not lane.steps:
                    lane.steps = max(_FEWEST_STEPS, math.ceil(window_seconds / lane.ready["step_seconds"]))
                time.sleep(_SETTLE_SECONDS)
                answer = worker.time(math.ceil(_WARMUP * lane.steps), lane.steps)
                watch.sample()
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
            lane.measured = worker.measure()
    return lanes


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    errors: IO[str]

    def begin(self, request: WorkerRequest) -> LoopReady:
        return cast(LoopReady, self._ask(request))

    def time(self, warmup: int, steps: int) -> WindowResult:
        return cast(WindowResult, self._ask({"warmup": warmup, "steps": steps}))

    def measure(self) -> Measured:
        return cast(Measured, self._ask({"measure": True}))

    def _ask(self, message: object) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            return {"failed": self._last_words()}

    def _last_words(self) -> str:
        self.process.wait()
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return lines[-1] if lines else f"its process ended with {self.process.returncode}"


@contextmanager
def _started(lane: Lane, request: RaceRequest) -> Iterator[_Worker]:
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
            asked: WorkerRequest = {
                **request,
                "contender": lane.entry.contender,
                "workers": lane.entry.workers,
                "launched": time.time(),
            }
            lane.ready = worker.begin(asked)
            lane.failed = lane.ready.get("failed")
            yield worker
        finally:
            process.kill()
