"""A plugin's network that raises, in words: which module, what it raised, and where."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from rescli.errors import RescliError, UsageError, first_line

__all__ = ["failed_module", "naming_failed_module"]

_HOUSE = {"rescli", "torch"}


def failed_module(error: BaseException, network: str) -> UsageError | None:
    """What to say of an exception that came through a module which is neither rescli's nor torch's.

    None for any other: rescli's own mistakes, and torch's, keep their traceback.

    Args:
        network: its name, for the message.
    """
    if isinstance(error, RescliError):
        return None
    # Innermost first: a block's fault is not its network's.
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = frame.f_locals.get("self")
        if isinstance(module, nn.Module) and type(module).__module__.partition(".")[0] not in _HOUSE:
            kind = type(module)
            return UsageError(
                f"the network {network} failed: {kind.__module__}.{kind.__name__} raised "
                f"{type(error).__name__}: {first_line(error)}",
                hint=f"in {frame.f_code.co_name}, {Path(frame.f_code.co_filename).name}:{line}",
                page="plugin-cannot-be-used",
            )
    return None


@contextmanager
def naming_failed_module(network: str) -> Iterator[None]:
    """Turn an exception of a plugin's module in the block into words.

    Args:
        network: its name, for the message.

    Raises:
        UsageError: as ``failed_module`` has it.
    """
    try:
        yield
    except Exception as error:
        failure = failed_module(error, network)
        if failure is None:
            raise
        raise failure from error
