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
    """Asked before every iteration. A signal sets it and no more, except within ``interrupting``."""

    def __init__(self) -> None:
        self._interrupting = False
        self._first: int | None = None
        self._when = 0.0

    def __call__(self) -> bool:
        return self._first is not None

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """While a run is prepared, there is nothing to save: within the block, a signal ends it at once.

        One that came before the block ends it at its beginning, so what the caller made until then is
        taken back in one place: around the block.

        Raises:
            Interrupted: a signal came.
        """
        self._interrupting = True
        try:
            self._raise_if_signalled()
            yield
        finally:
            self._interrupting = False

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Nothing is printed here: a handler may run in the middle of another print.
        if self._first is None:
            self._first, self._when = number, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._when > DOUBLE_TAP_SECONDS:
            raise KeyboardInterrupt
        if self._interrupting:
            self._raise_if_signalled()

    def _raise_if_signalled(self) -> None:
        if self._first is not None:
            name = signal.Signals(self._first).name
            raise Interrupted(f"{name} before the first iteration; nothing was begun.")


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
