"""Stopping work that saves its state: SIGINT (Ctrl-C, a notebook's stop), SIGTERM and SIGHUP, and what
schedulers send before a limit is reached: SIGUSR1, SIGUSR2 and SIGXCPU.

A signal sets a flag while work is done that can be saved, and ends the work at once before it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import Protocol, TypeVar

from rescli.errors import Interrupted
from rescli.hardware.stop_signals import FROM_PEOPLE, STOP_SIGNALS

__all__ = ["Stop", "StopFlag", "StopFromSink", "handled", "stop_on_interrupt", "stop_requested"]

E = TypeVar("E")

DOUBLE_TAP_SECONDS = 2.0
"""A second SIGINT sooner than this is the first one again: terminals and wrappers both deliver it."""


class Stop(Protocol):
    """Whether somebody wants the work to stop."""

    def __call__(self) -> bool:
        """Asked before every iteration: when it says yes, the state is saved and ``Interrupted`` raised."""

    def interrupting(self) -> AbstractContextManager[None]:
        """A block that may be left at any point: there is nothing to save yet."""


class _Signalled(BaseException):
    """Raised by the handler in the midst of anything: what catches an Exception there, for reasons of its
    own, such as a damaged file or a kernel that does not work, must not take it for that."""


class StopFlag:
    """Whether to stop, asked before every iteration and every batch of an evaluation.

    A signal sets it and tells so, and does no more, except within ``interrupting``.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _line: None) -> None:
        """
        Args:
            tell: called with the sentence that answers the first signal, from within its handler.
        """
        self._tell = tell
        self._interrupting = False
        self._first: str | None = None
        self._when = 0.0

    def __call__(self) -> bool:
        """Whether somebody asked to stop."""
        return self._first is not None

    def set(self, name: str) -> None:
        """Ask to stop; ``name`` says in messages who asked."""
        if self._first is None:
            self._first, self._when = name, time.monotonic()

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """A block in which nothing is there to be saved yet: a signal ends it at once.

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
            raise Interrupted(str(signalled), clean=True) from None
        finally:
            self._interrupting = False

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """The handler of a signal."""
        if self._first is None:
            name = signal.Signals(number).name
            self.set(name)
            if not self._interrupting:
                self._tell(
                    f"{name}: stopping as soon as the state is saved; Ctrl-C again ends at once, unsaved."
                )
        elif number == signal.SIGINT and time.monotonic() - self._when > DOUBLE_TAP_SECONDS:
            raise KeyboardInterrupt
        if self._interrupting:
            self._raise_if_signalled()

    def _raise_if_signalled(self) -> None:
        if self._first is not None:
            raise _Signalled(f"{self._first} before the first iteration; nothing was begun.")


class StopFromSink:
    """Also stops where a caller's sink raises KeyboardInterrupt, which saves the state as a signal does.

    Args:
        stop: whether somebody else wants the work to stop.
    """

    def __init__(self, stop: Stop) -> None:
        self._stop, self._raised = stop, False

    def __call__(self) -> bool:
        """Whether a sink raised, or somebody else asked to stop."""
        return self._raised or self._stop()

    def watching(self, sink: Callable[[E], None]) -> Callable[[E], None]:
        """The sink, whose KeyboardInterrupt is kept until the next iteration asks."""

        def watched(event: E) -> None:
            try:
                sink(event)
            except KeyboardInterrupt:
                if self._stop():  # the second Ctrl-C, which is to end the work at once
                    raise
                self._raised = True

        return watched

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """A block in which nothing is there to be saved yet; what a sink raised ends it at its beginning.

        Raises:
            Interrupted: a sink raised before, or a signal came.
        """
        self.raise_if_asked()
        with self._stop.interrupting():
            yield
        self.raise_if_asked()

    def raise_if_asked(self) -> None:
        """End work that has nothing to save.

        Raises:
            Interrupted: a sink raised.
        """
        if self._raised:
            raise Interrupted("stopped between two runs; what was trained is saved.", clean=True)


@contextmanager
def handled(
    numbers: Iterable[signal.Signals], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Within the block these signals call the handler; after it, whoever handled them before does again.

    Raises:
        ValueError: this is not the main thread, in which alone Python handles signals.
    """
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def stop_requested(tell: Callable[[str], None] | None = None) -> Iterator[StopFlag]:
    """Let signals set a flag for as long as the block lasts; a second SIGINT, later, ends it at once.

    One that is ignored stays ignored: SIGHUP under nohup, SIGINT of a script's background job. SIGUSR1
    and the like are left to a caller who handles them.

    Outside the main thread Python delivers no signals: there nothing but the caller sets the flag.

    Args:
        tell: called with one sentence when the first signal comes, in a thread of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield StopFlag()
        return
    with _telling(tell) as tell_later:
        flag = StopFlag(tell_later)
        with handled(filter(_may_be_handled, STOP_SIGNALS), flag.on_signal):
            yield flag


def _may_be_handled(number: signal.Signals) -> bool:
    handler = signal.getsignal(number)
    if number in FROM_PEOPLE:
        return handler is not signal.SIG_IGN
    ours = (getattr(handler, "__module__", None) or "").partition(".")[0] == __name__.partition(".")[0]
    return handler is signal.SIG_DFL or ours


@contextmanager
def _telling(tell: Callable[[str], None] | None) -> Iterator[Callable[[str], None]]:
    """What a handler may call, which can run in the middle of a print: a thread does the telling."""
    if tell is None:
        yield lambda _line: None
        return
    lines: SimpleQueue[str | None] = SimpleQueue()

    def tell_lines() -> None:
        while (line := lines.get()) is not None:
            tell(line)

    thread = threading.Thread(target=tell_lines, name="rescli-signals", daemon=True)
    thread.start()
    try:
        yield lines.put
    finally:
        lines.put(None)
        thread.join()


def stop_on_interrupt() -> AbstractContextManager[StopFlag]:
    """A block within which signals ask the work to stop, without a word."""
    return stop_requested()
