"""SIGINT, SIGTERM and SIGHUP: answered at once; a flag while training, the end before it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from types import FrameType

from rescli.cli.output.messages import say
from rescli.errors import Interrupted

__all__ = ["StopFlag", "stop_requested"]

DOUBLE_TAP_SECONDS = 2.0
"""A second SIGINT sooner than this is the first one again: terminals and wrappers both deliver it."""


class _Signalled(BaseException):
    """Raised by the handler in the midst of anything: what catches an Exception there, for reasons of its
    own, such as a damaged file or a kernel that does not work, must not take it for that."""


class StopFlag:
    """Asked before every iteration and batch of an evaluation. A signal sets it and tells so, and no more,
    except within ``interrupting``."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
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
            self._raise_if_signalled()  # somebody may have caught even that
        except _Signalled as signalled:
            raise Interrupted(str(signalled)) from None
        finally:
            self._interrupting = False

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._first is None:
            self._first, self._when = number, time.monotonic()
            if not self._interrupting:
                name = signal.Signals(number).name
                self._tell(
                    f"{name}: stopping as soon as the state is saved; Ctrl-C again ends at once, unsaved."
                )
        elif number == signal.SIGINT and time.monotonic() - self._when > DOUBLE_TAP_SECONDS:
            raise KeyboardInterrupt
        if self._interrupting:
            self._raise_if_signalled()

    def _raise_if_signalled(self) -> None:
        if self._first is not None:
            name = signal.Signals(self._first).name
            raise _Signalled(f"{name} before the first iteration; nothing was begun.")


@contextmanager
def stop_requested(*, silent: bool = False) -> Iterator[StopFlag]:
    """Within the block signals go to the flag; a second SIGINT, later, ends the process at once.

    silent: another process answers the signal.
    """
    with _telling() as tell:
        flag = StopFlag((lambda _line: None) if silent else tell)
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, flag.on_signal) for number in numbers}
        try:
            yield flag
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """What prints a line to stderr from within a handler, which may run in the middle of another print: a
    thread does it, and the queue to it is one that a handler may put into."""
    lines: SimpleQueue[str | None] = SimpleQueue()

    def print_lines() -> None:
        while (line := lines.get()) is not None:
            say(line)

    thread = Thread(target=print_lines, name="rescli-signals", daemon=True)
    thread.start()
    try:
        yield lines.put
    finally:
        lines.put(None)
        thread.join()
