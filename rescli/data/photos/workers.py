"""Processes that make batches ahead, into memory that they share with the process that trains.

torch's DataLoader hands batches over through /dev/shm, of which a container has 64 MB; its workers die of the
signals that are sent to every process of a job; and where one is lost, training ends in the midst of a step.
Here the memory is the process's own, workers leave signals to it, and a loss is an exception in ``take``.
"""

from __future__ import annotations

import atexit
import math
import mmap
import multiprocessing
import os
import pickle
import signal
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from rescli.hardware.stop_signals import STOP_SIGNALS

__all__ = ["MakeBatch", "WorkerLost", "Workers"]

R = TypeVar("R")

MakeBatch = Callable[[int, np.ndarray], R]
"""(step, pixels) -> what else belongs to the batch of the step; writes its uint8 pixels."""

_AHEAD = 2
"""Batches that each worker keeps ready."""

_LOOK_SECONDS = 1.0
"""How long a worker without work needs to notice that the process that trains is gone, and that one to notice
that it is to stop."""


class WorkerLost(Exception):
    """A worker ended that nobody had asked to; the message says how. ``killed`` is whether by a signal that
    the kernel sends where memory runs out."""

    def __init__(self, exit_code: int | None) -> None:
        by_signal = exit_code is not None and exit_code < 0
        self.killed = exit_code in (-signal.SIGKILL, -signal.SIGBUS)
        how = signal.Signals(-exit_code).name if by_signal and exit_code is not None else ""
        super().__init__(f"was killed by {how}" if by_signal else f"ended with code {exit_code}")


class Workers(Generic[R]):
    """Batches of one step after the other, made by several processes in turns."""

    def __init__(self, make: MakeBatch[R], shape: tuple[int, ...], *, first_step: int, count: int) -> None:
        """Begin the processes.

        Args:
            make: what they call.
            shape: of a batch's pixels.
            first_step: the step of the first batch.
            count: how many processes.

        Raises:
            OSError: the machine has no room for so many processes, or no memory for their batches.
        """
        # Forked workers share the list of files; a spawned one would read torch for seconds.
        forks = sys.platform == "linux"
        context: Any = multiprocessing.get_context("fork" if forks else None)
        self._shape, self._bytes = shape, math.prod(shape)
        self._step = self._first_step = first_step
        self._lent: int | None = None
        num_slots = count * _AHEAD
        # Anonymous: it lies in no file system, so no file system can be too small for it.
        memory = mmap.mmap(-1, max(1, num_slots * self._bytes))
        self._slots = [self._slot(memory, slot) for slot in range(num_slots)]
        self._processes: list[BaseProcess] = []
        self._connections: list[Connection] = []
        # Not by weakref's own hook at exit, which may come after multiprocessing's: that one waits for us.
        self._end = weakref.finalize(self, _end, self._processes, self._connections)
        self._end.atexit = False
        atexit.register(self._end)
        try:
            for _ in range(count):
                ours, theirs = context.Pipe()
                self._connections.append(ours)
                process = context.Process(
                    target=_work,
                    args=(make, shape, self._slots if forks else None, theirs, os.getpid()),
                    daemon=True,
                )
                with _left_to_the_parent():
                    process.start()
                self._processes.append(process)
                theirs.close()
        except BaseException:
            self.close()
            raise
        for step in range(first_step, first_step + num_slots):
            self._ask_for(step)

    def take(self, waiting: Callable[[float], None] = lambda _seconds: None) -> tuple[R, np.ndarray]:
        """The batch of the next step: what ``make`` gave, and its pixels, which are lent until ``give_back``.

        Args:
            waiting: called now and then while it waits, with the seconds so far; what it raises ends that.

        Raises:
            WorkerLost: the process that was to make it is gone.
            What ``make`` raised.
        """
        self.give_back()
        step = self._step
        made = self._received(step, waiting)
        self._step, self._lent = step + 1, step
        return made, self._slots[self._slot_of(step)]

    def give_back(self) -> None:
        """Let the pixels that were lent be written again."""
        if self._lent is not None:
            self._ask_for(self._lent + len(self._slots))
            self._lent = None

    def close(self) -> None:
        """End the processes at once: they hold nothing that could be lost."""
        self._end()
        atexit.unregister(self._end)

    def _slot(self, memory: mmap.mmap, slot: int) -> np.ndarray:
        return np.frombuffer(memory, np.uint8, self._bytes, slot * self._bytes).reshape(self._shape)

    def _slot_of(self, step: int) -> int:
        return (step - self._first_step) % len(self._slots)

    def _worker_of(self, step: int) -> int:
        return (step - self._first_step) % len(self._processes)

    def _ask_for(self, step: int) -> None:
        with suppress(OSError):  # it is gone: who waits for its answer will know
            self._connections[self._worker_of(step)].send((step, self._slot_of(step)))

    def _received(self, step: int, waiting: Callable[[float], None]) -> R:
        worker = self._worker_of(step)
        connection, process = self._connections[worker], self._processes[worker]
        began = time.monotonic()
        while not wait([connection, process.sentinel], timeout=_LOOK_SECONDS):
            waiting(time.monotonic() - began)
        try:
            if not connection.poll():
                raise EOFError
            made, error = pickle.loads(connection.recv_bytes())
            if isinstance(made, _Sent):
                connection.recv_bytes_into(self._slots[self._slot_of(step)].data.cast("B"))
                made = made.made
        except (EOFError, OSError):
            process.join(_LOOK_SECONDS)
            raise WorkerLost(process.exitcode) from None
        if error is not None:
            raise error
        result: R = made
        return result


class _Sent:
    """What a worker without shared memory sends before the pixels themselves."""

    def __init__(self, made: object) -> None:
        self.made = made


def _work(
    make: MakeBatch[object],
    shape: tuple[int, ...],
    slots: list[np.ndarray] | None,
    connection: Connection,
    parent: int,
) -> None:
    """The life of a worker: make what is asked for until nobody is there who asks."""
    for number in STOP_SIGNALS:  # sent to all processes of a job; the one that trains decides what follows
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    torch.set_num_threads(1)  # those of the process that trains were not forked with it
    try:
        while True:
            while not connection.poll(_LOOK_SECONDS):
                # Workers that were begun later hold the other end of the pipe too: its end may never come.
                if os.getppid() != parent:
                    return
            step, slot = connection.recv()
            pixels = np.empty(shape, np.uint8) if slots is None else slots[slot]
            connection.send_bytes(_answer(make, step, pixels, sent=slots is None))
            if slots is None:
                connection.send_bytes(pixels.data.cast("B"))
    except (EOFError, OSError):
        return


def _answer(make: MakeBatch[object], step: int, pixels: np.ndarray, *, sent: bool) -> bytes:
    try:
        made = make(step, pixels)
        return pickle.dumps((_Sent(made) if sent else made, None))
    except Exception as error:
        try:
            return pickle.dumps((None, error))
        except Exception:  # what cannot be sent can be told
            return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))


def _end(processes: list[BaseProcess], connections: list[Connection]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.join()
    for connection in connections:
        connection.close()


@contextmanager
def _left_to_the_parent() -> Iterator[None]:
    """Signals wait while a worker is begun, and it begins with all of them blocked.

    Python 3.12 on warns of a process with threads that forks: what the workers compute, they compute alone.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
