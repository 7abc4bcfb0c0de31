"""Every error that rescli raises on purpose, each with the exit code of the command line.

    RescliError
    ├── UsageError          2    a flag, a name, a path or a spec that cannot work
    │   ├── SpecError            a key or value of the run spec
    │   ├── UnknownNameError     no such model, dataset, preset, command, ...
    │   └── RunDirError          the run directory is taken, locked or not writable
    ├── WriteError          1    a file that is no checkpoint cannot be written
    ├── DataError           3    images missing or damaged
    ├── CheckpointError     4    a checkpoint or saved state missing, damaged or not writable
    ├── DivergedError       5    the loss is no longer a finite number
    ├── VerificationError   6    a parity or integrity check did not hold
    └── Interrupted       130    stopped by SIGINT or SIGTERM, state saved

The message says what was given and what is allowed; a ``hint`` or a ``Remedy`` says what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from rescli.remedy import Remedy

__all__ = [
    "CheckpointError",
    "DataError",
    "DivergedError",
    "Interrupted",
    "RescliError",
    "RunDirError",
    "SpecError",
    "UnknownNameError",
    "UsageError",
    "VerificationError",
    "WriteError",
    "first_line",
    "nearest",
]


class RescliError(Exception):
    """Base of the tree.

    ``str(error)`` is the message. ``error.hint`` and ``error.remedies`` say what to do next; errors of the
    functions of ``rescli`` itself carry them as notes, which a traceback shows.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, hint: str | None = None, remedy: Remedy | Sequence[Remedy] = ()
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.remedies = (remedy,) if isinstance(remedy, Remedy) else tuple(remedy)


class UsageError(RescliError):
    exit_code = 2


class SpecError(UsageError):
    pass


class UnknownNameError(UsageError):
    """A name that nothing answers to; the message lists the known ones and the nearest match."""

    def __init__(
        self,
        what: str,
        given: str,
        known: Iterable[str],
        *,
        hint: str | None = None,
        remedy: Remedy | Sequence[Remedy] = (),
    ) -> None:
        names = sorted(known)
        guess = nearest(given, names)
        listed = ", ".join(names) if names else "none"
        message = f"unknown {what} {given!r}; known: {listed}."
        if guess:
            message += f" Did you mean {guess!r}?"
        super().__init__(message, hint=hint, remedy=remedy)


class RunDirError(UsageError):
    pass


class WriteError(RescliError):
    """A picture, a table or a note; nothing that a run needs to go on."""


class DataError(RescliError):
    exit_code = 3


class CheckpointError(RescliError):
    exit_code = 4


class DivergedError(RescliError):
    exit_code = 5


class VerificationError(RescliError):
    exit_code = 6


class Interrupted(RescliError):
    exit_code = 130


def first_line(error: BaseException) -> str:
    """Of another library's message, which may go on for pages; the error's type where there is none."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def nearest(given: str, names: Iterable[str]) -> str | None:
    """The known name most like ``given``, or None where nothing comes close."""
    by_folded = {name.lower(): name for name in names}
    matches = difflib.get_close_matches(given.lower(), by_folded, n=1, cutoff=0.5)
    return by_folded[matches[0]] if matches else None
