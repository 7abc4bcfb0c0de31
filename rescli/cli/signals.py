"""SIGINT, SIGTERM and SIGHUP: a flag while training, the end before it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rescli.errors import Interrupted

__all__ = ["StopFlag", "stop_requested"]

DOUBLE_TAP_SECONDS = 2.0
"""A second SIGINT sooner than this is the first one again: terminals and wrappers both deliver it."""


class StopFlag:
    """Asked before every iteration. Until ``arm`` a signal ends the command: nothing is to be saved."""

    def __init__(self) -> None:
        self._armed = False
        self._first: float | None = None

    def __call__(self) -> bool:
        return self._first is not None

    def arm(self) -> None:
        """From now on there is a state worth saving."""
        self._armed = True

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Nothing is printed here: a handler may run in the middle of another print.
        if not self._armed:
            raise Interrupted(f"{signal.Signals(number).name} before the first iteration; nothing was begun.")
        if self._first is None:
            self._first = time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._first > DOUBLE_TAP_SECONDS:
            raise KeyboardInterrupt


@contextmanager
def stop_requested() -> Iterator[StopFlag]:
    """Within the block signals go to the flag; a second SIGINT, later, ends the process at once."""
    flag = StopFlag()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, flag.on_signal) for number in numbers}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
