"""Messages to stderr."""

from __future__ import annotations

import sys

__all__ = ["say"]


def say(text: str) -> None:
    """Print a line to stderr.

    Raises:
        OSError: nobody reads any more: a closed pipe, a full or closed device.
        ValueError: the stream was closed.
    """
    print(text, file=sys.stderr, flush=True)
