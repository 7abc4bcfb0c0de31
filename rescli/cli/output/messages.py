"""Messages to stderr, and what the rooms below log as warnings among them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rescli.report.messages import drop_stderr, say

__all__ = ["drop_stderr", "say", "saying_warnings"]


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # Printed to whatever stderr is now: rich's bars, while they stand, put it above themselves.
        say(f"{record.levelname.lower()}: {record.getMessage()}")


@contextmanager
def saying_warnings() -> Iterator[None]:
    """Within the block, each warning that rescli's rooms log is a line ``warning: ...`` on stderr."""
    logger, handler = logging.getLogger("rescli"), _Saying(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
