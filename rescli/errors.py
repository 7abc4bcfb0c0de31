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

The message says what was given and what is allowed; a ``hint`` or a ``Remedy`` says what to do next, and the
``page`` is the section of the handbook that tells more.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

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
    "on_page",
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
        page: the section of the handbook on it, where that is not the usual one of its class: an anchor of
            ``troubleshooting.md``, or ``"data.md#cifar"`` of another page.
    """

    exit_code = 1
    usual_page: str | None = None
    """The section on errors of this class that name none."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        remedy: Remedy | Sequence[Remedy] = (),
        given: Remedy | Sequence[Remedy] = (),
        page: str | None = None,
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.remedies = (remedy,) if isinstance(remedy, Remedy) else tuple(remedy)
        self.given = (given,) if isinstance(given, Remedy) else tuple(given)
        self._page = page

    @property
    def page(self) -> str | None:
        """The section of the handbook that tells more; None where there is none.

        An error that says another one in its own words, raised ``from`` it, has that one's section.
        """
        return self._named_page() or self.usual_page

    def _named_page(self) -> str | None:
        error: BaseException | None = self
        seen: list[BaseException] = []
        while isinstance(error, RescliError) and error not in seen:
            if error._page is not None:
                return error._page
            seen.append(error)
            error = error.__cause__
        return None


class UsageError(RescliError):
    """A setting, a name, a path or a spec that cannot work."""

    exit_code = 2


class SpecError(UsageError):
    """A key or a value of a spec that cannot work."""

    usual_page = "unknown-name-or-key"


class UnknownNameError(UsageError):
    """A name that nothing answers to; the message lists the known ones and the nearest match."""

    usual_page = "unknown-name-or-key"

    def __init__(
        self,
        what: str,
        given: str,
        known: Iterable[str],
        *,
        hint: str | None = None,
        remedy: Remedy | Sequence[Remedy] = (),
        page: str | None = None,
    ) -> None:
        names = sorted(known)
        guess = nearest(given, names)
        listed = ", ".join(names) if names else "none"
        message = f"unknown {what} {given!r}; known: {listed}."
        if guess:
            message += f" Did you mean {guess!r}?"
        super().__init__(message, hint=hint, remedy=remedy, page=page)


class NoMemoryError(UsageError):
    """A device that has too little memory for what it was given; less at once may fit."""

    usual_page = "out-of-memory-on-the-device"


class RunDirError(UsageError):
    """A run directory that is taken, in use, not there or not writable."""

    usual_page = "run-directory-taken-or-not-there"


class WriteError(RescliError):
    """A picture, a table or a note that cannot be written; nothing that a run needs to go on."""

    usual_page = "disk-full-read-only-or-failing"


class LostWorkersError(RescliError):
    """Processes that decode images and end again and again, or cannot be begun."""

    usual_page = "lost-worker-processes"


class LostRankError(RescliError):
    """Processes that train one network together, of which one is gone or does not answer."""

    usual_page = "lost-processes-of-one-training"


class DataError(RescliError):
    """Images that are missing or damaged."""

    exit_code = 3
    usual_page = "images-missing-or-damaged"


class CheckpointError(RescliError):
    """A checkpoint or a saved state that is missing, damaged or not writable."""

    exit_code = 4
    usual_page = "checkpoint-missing-or-damaged"


class DivergedError(RescliError):
    """Training whose loss or weights are no longer finite numbers."""

    exit_code = 5
    usual_page = "training-diverged"


class VerificationError(RescliError):
    """A check that did not hold: two computations that should agree do not."""

    exit_code = 6
    usual_page = "a-check-failed"


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
        page: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, remedy=remedy, page=page)
        self.clean = clean


@contextmanager
def on_page(page: str, kind: type[RescliError] = RescliError) -> Iterator[None]:
    """Within the block, errors of a class are of this section of the handbook, unless they name one."""
    try:
        yield
    except kind as error:
        error._page = error._named_page() or page
        raise


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
