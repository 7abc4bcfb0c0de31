"""Signals that ask to stop, answered at once with a line on stderr."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rescli.cli.launch import hearing_the_command
from rescli.cli.output.messages import say
from rescli.hardware.stop_signals import STOP_SIGNALS
from rescli.workflows.running.stopping import StopFlag, handled
from rescli.workflows.running.stopping import stop_requested as stop_silently

__all__ = ["StopFlag", "Terminated", "ending_in_order", "stop_requested"]


class Terminated(BaseException):
    """A signal, by name, in the midst of work that has no state to save.

    No KeyboardInterrupt, for which a library may have an answer of its own.
    """


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let signals that ask to stop end the work as Ctrl-C does: files half written are taken back.

    Without it the first process of a container would be deaf to them. What is ignored or handled already
    stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise Terminated(signal.Signals(number).name)

    unheeded = (signal.SIG_DFL, signal.default_int_handler)
    with handled([number for number in STOP_SIGNALS if signal.getsignal(number) in unheeded], interrupt):
        yield


@contextmanager
def stop_requested(*, silent: bool = False) -> Iterator[StopFlag]:
    """A block in which signals set a flag; a second SIGINT, later, ends the process at once.

    Args:
        silent: another process answers the signal.

    Raises:
        Terminated: the second one.
    """
    with stop_silently(None if silent else say) as flag, hearing_the_command(flag):
        try:
            yield flag
        except KeyboardInterrupt:
            raise Terminated(signal.SIGINT.name) from None
