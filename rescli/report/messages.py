"""Messages to stderr that never stop the work: nobody may be reading any more."""

from __future__ import annotations

import os
import sys

__all__ = ["drop_stderr", "say"]


def say(text: str) -> None:
    """Print a line to stderr; where that fails, this and all that follows is dropped."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        drop_stderr()


def drop_stderr() -> None:
    """From now on stderr swallows what is written: its reader is gone, or its disk is full."""
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
