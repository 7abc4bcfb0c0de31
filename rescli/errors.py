"""Every error that rescli raises on purpose, each with the exit code of the command line.

    RescliError
    ├── UsageError          2    a flag, a name, a path or a spec that cannot work
    │   ├── SpecError            a key or value of the run spec
    │   ├── UnknownNameError     no such model, dataset, preset, command, ...
    │   ├── NoMemoryError        the device has too little memory
    │   └── RunDirError          the run directory is taken, locked or not writable
    ├── WriteError          1    a file that is no checkpoint cannot be written
    ├── LostWorkersError    1    processes that decode images end again and again, or cannot begin
    ├── LostRankError       1    one of the processes that train together is gone
    ├── DataError           3    images missing or damaged
    ├── CheckpointError     4    a checkpoint or saved state missing, damaged or not writable
    ├── DivergedError       5    the loss is no longer a finite number
    ├── VerificationError   6    a parity or integrity check did not hold
    └── Interrupted       130    SIGINT, SIGTERM, SIGHUP, or what schedulers send before a limit;
                                 of a training the state is saved

The message says what was given and what is allowed; a ``hint`` or a ``Remedy`` says what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from rescli.foreign_text import readable
from rescli.remedy import Remedy

__all__ = [
    "CheckpointError",
    "DataError",
    "DivergedError",
    "Interrupted",
    "LostRankError",
    "LostWorkersError",
    "NoMemoryError",
    "RescliError",
    "RunDirError",
    "SpecError",
    "UnknownNameError",
    "UsageError",
    "VerificationError",
    "WriteError",
    "first_line",
    "first_names",
    "nearest",
]


class RescliError(Exception):
    """Base of the tree.

    ``str(error)`` is the message. ``error.hint`` and ``error.remedies`` say what to do next; errors of the
    functions of ``rescli`` itself carry them as notes, which a traceback shows.

    Args:
        message: what was given, and what is allowed.
        hint: what to do next, where that is no setting.
        remedy: settings that would mend it.
        given: settings that the message names, each written as ``str(setting)``; the command line says
            them as flags.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        remedy: Remedy | Sequence[Remedy] = (),
        given: Remedy | Sequence[Remedy] = (),
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.remedies = (remedy,) if isinstance(remedy, Remedy) else tuple(remedy)
        self.given = (given,) if isinstance(given, Remedy) else tuple(given)


class UsageError(RescliError):
    """A setting, a name, a path or a spec that cannot work."""

    exit_code = 2


class SpecError(UsageError):
    """A key or a value of a spec that cannot work."""


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


class NoMemoryError(UsageError):
    """A device that has too little memory for what it was given; less at once may fit."""


class RunDirError(UsageError):
    """A run directory that is taken, in use, not there or not writable."""


class WriteError(RescliError):
    """A picture, a table or a note that cannot be written; nothing that a run needs to go on."""


class LostWorkersError(RescliError):
    """Processes that decode images and end again and again, or cannot be begun."""


class LostRankError(RescliError):
    """Processes that train one network together, of which one is gone or does not answer."""


class DataError(RescliError):
    """Images that are missing or damaged."""

    exit_code = 3


class CheckpointError(RescliError):
    """A checkpoint or a saved state that is missing, damaged or not writable."""

    exit_code = 4


class DivergedError(RescliError):
    """Training whose loss or weights are no longer finite numbers."""

    exit_code = 5


class VerificationError(RescliError):
    """A check that did not hold: two computations that should agree do not."""

    exit_code = 6


class Interrupted(RescliError):
    """Work that was asked to stop, by a signal or by Ctrl-C.

    ``clean`` is whether nothing was lost: the state is saved, or nothing was begun.
    """

    exit_code = 130

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        remedy: Remedy | Sequence[Remedy] = (),
        clean: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, remedy=remedy)
        self.clean = clean


def first_line(error: BaseException) -> str:
    """The first line of another library's message, which may go on for pages.

    Returns:
        That line; the name of the error's type where the message is empty.

    Example:
        >>> first_line(ValueError("shapes differ\\n  at line 3")), first_line(ValueError())
        ('shapes differ', 'ValueError')
    """
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def nearest(given: str, names: Iterable[str], *, cutoff: float = 0.5) -> str | None:
    """The known name most like ``given``, or None where nothing comes close: 0 anything, 1 equal letters."""
    by_folded = {name.lower(): name for name in names}
    matches = difflib.get_close_matches(given.lower(), by_folded, n=1, cutoff=cutoff)
    return by_folded[matches[0]] if matches else None


def first_names(names: Sequence[str], most: int = 3) -> str:
    """The first few names, readable anywhere, and an ellipsis where there are more.

    >>> first_names(["cat", "dog", "eel", "fox"])
    'cat, dog, eel, ...'
    """
    return ", ".join(map(readable, names[:most])) + (", ..." if len(names) > most else "")
