"""What torch's launcher says in the environment of each process that it starts (needs no torch)."""

from __future__ import annotations

import os

__all__ = ["is_first", "is_restart", "launched", "num_ranks"]


def num_ranks() -> int:
    """How many processes the launcher says there are; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launched() -> bool:
    """Whether this is one of several processes that a launcher began."""
    return num_ranks() > 1


def is_first() -> bool:
    """Whether this is the process that writes and speaks for all of them."""
    return int(os.environ.get("RANK", "0")) == 0


def is_restart() -> bool:
    """Whether the launcher began all of them anew, because one was lost."""
    return launched() and int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
