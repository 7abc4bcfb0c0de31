"""Processes that do not outlive the one that began them, however that ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["ending_with_this"]

_PROGRAM = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, which the program begun here inherits
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


def ending_with_this(argv: Sequence[str]) -> list[str]:
    """What to begin in place of ``argv``, so that the kernel kills it when this process is gone.

    The number of the process stays the same. Other systems than Linux know no such thing: ``argv`` as it is.
    """
    if sys.platform != "linux":
        return [*argv]
    return [sys.executable, "-ISc", _PROGRAM, str(os.getpid()), *argv]
