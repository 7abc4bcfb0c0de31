"""The signals that ask work to stop. Only the names of signals are here, no handlers."""

from __future__ import annotations

import signal

__all__ = ["FROM_PEOPLE", "FROM_SCHEDULERS", "STOP_SIGNALS"]

FROM_PEOPLE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Sent by Ctrl-C, ``kill``, ``timeout``, containers, and where a terminal is closed."""

FROM_SCHEDULERS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
"""Sent some time before a limit is reached: by Slurm (``--signal=USR1@90``), LSF and Grid Engine, and by the
kernel where the processor time of ``ulimit -t`` is used up. Nobody's handler would mean the end, unsaved."""

STOP_SIGNALS = FROM_PEOPLE + FROM_SCHEDULERS
