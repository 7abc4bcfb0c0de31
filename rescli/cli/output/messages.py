"""Messages to stderr that never stop the work, and what the rooms below log as warnings among them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rescli.cli.remedies import as_flag
from rescli.remedy import Remedy
from rescli.report.messages import say as say_or_fail

__all__ = ["PACK", "flush", "say", "saying_warnings"]

PACK = "rescli data pack"
"""What packs images, where advice is given."""


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # Printed to whatever stderr is now: rich's bars, while they stand, put it above themselves.
        text = record.getMessage()
        if isinstance(record.args, tuple):
            text = str(record.msg) % tuple(as_flag(a) if isinstance(a, Remedy) else a for a in record.args)
        say(f"{record.levelname.lower()}: {text}")


def say(text: str) -> None:
    """Print a line to stderr; where that fails, this and all that follows is dropped."""
    try:
        say_or_fail(text)
    except (OSError, ValueError):
        _drop_stderr()


def flush() -> None:
    """Write what stderr still holds; Python's own last attempt would make an exit code of a failure."""
    try:
        if sys.stderr is not None:  # closed by who began this process
            sys.stderr.flush()
    except (OSError, ValueError):
        _drop_stderr()


def _drop_stderr() -> None:
    """From now on stderr swallows what is written: its reader is gone, or its disk is full.

    Only a program may do that; a library is a guest in somebody's process.
    """
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


@contextmanager
def saying_warnings() -> Iterator[None]:
    """Within the block, each warning that rescli's rooms log is a line ``warning: ...`` on stderr."""
    logger, handler = logging.getLogger("rescli"), _Saying(logging.WARNING)
    # That its cache cannot be written is nothing to a user of ours.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
