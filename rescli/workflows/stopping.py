"""How a long piece of work is asked to stop, so that its state is saved first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Protocol

__all__ = ["Stop", "stop_on_interrupt"]


class Stop(Protocol):
    """Whether somebody wants the work to stop."""

    def __call__(self) -> bool:
        """Asked before every iteration: when it says yes, the state is saved and ``Interrupted`` raised."""

    def interrupting(self) -> AbstractContextManager[None]:
        """A block that may be left at any point: there is nothing to save yet."""


class _Flag:
    def __init__(self) -> None:
        self._set = False
        self._at_once = False

    def __call__(self) -> bool:
        return self._set

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._set or self._at_once:
            raise KeyboardInterrupt
        self._set = True


@contextmanager
def stop_on_interrupt() -> Iterator[Stop]:
    """Within the block the first Ctrl-C asks the work to stop, and a second one ends it at once.

    In a thread other than the main one, which gets no signals, nothing asks.
    """
    flag = _Flag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = signal.signal(signal.SIGINT, flag.on_signal)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before)
