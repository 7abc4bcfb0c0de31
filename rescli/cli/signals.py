"""SIGINT, SIGTERM and SIGHUP, answered at once with a line on stderr."""

from __future__ import annotations

from contextlib import AbstractContextManager

from rescli.cli.output.messages import say
from rescli.workflows.running.stopping import StopFlag
from rescli.workflows.running.stopping import stop_requested as stop_silently

__all__ = ["StopFlag", "stop_requested"]


def stop_requested(*, silent: bool = False) -> AbstractContextManager[StopFlag]:
    """A block in which signals set a flag; a second SIGINT, later, ends the process at once.

    Args:
        silent: another process answers the signal.
    """
    return stop_silently(None if silent else say)
