"""SIGINT, SIGTERM and SIGHUP, answered at once with a line on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rescli.cli.launch import hearing_the_command
from rescli.cli.output.messages import say
from rescli.workflows.running.stopping import StopFlag
from rescli.workflows.running.stopping import stop_requested as stop_silently

__all__ = ["StopFlag", "stop_requested"]


@contextmanager
def stop_requested(*, silent: bool = False) -> Iterator[StopFlag]:
    """A block in which signals set a flag; a second SIGINT, later, ends the process at once.

    Args:
        silent: another process answers the signal.
    """
    with stop_silently(None if silent else say) as flag, hearing_the_command():
        yield flag
