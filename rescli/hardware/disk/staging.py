"""Files and folders that are made beside their place and get its name when they are whole.

They are called ``.NAME.rescli-XXXXXXXX.tmp``, which nobody else calls anything, and locked while they are
made. So those of processes that were killed are told from those of processes at work and from what is not
rescli's, and whoever makes the same next removes them.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rescli.hardware.disk.file_lock import InUse, is_alive, is_moved, locked_descriptor

__all__ = ["remove_left", "remove_left_in", "staged_beside", "staged_file"]

_LONG_NAME, _SHORTENED = 200, 40
"""Bytes of a name that leaves room for more, and the letters that are kept of a longer one."""

_TOKEN_BYTES = 4
_ENDING = rf"\.rescli-[0-9a-f]{{{2 * _TOKEN_BYTES}}}\.tmp"
_EARLIER = re.compile(r"\..+\.([0-9]+)\.tmp")
"""Files of earlier versions of rescli: ``.NAME.PID.tmp``, without a lock."""

_TRIES = 5


@contextmanager
def staged_beside(out: Path) -> Iterator[Path]:
    """A new folder beside ``out`` for as long as the block lasts.

    Those that processes left which were killed while they made the same ``out`` are removed; those of
    processes at work stay.

    Args:
        out: what the caller makes; its parent must be there.

    Raises:
        OSError: it cannot be made.
    """
    remove_left(out)
    with _locked(out, os.O_RDONLY | os.O_DIRECTORY) as (folder, _):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def staged_file(out: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file beside ``out``, opened to be written; removed where the block fails.

    As ``staged_beside`` does, it removes those of processes that were killed.

    Args:
        out: what the caller writes; its parent must be there.

    Raises:
        OSError: it cannot be made.
    """
    remove_left(out)
    with _locked(out, os.O_RDWR | os.O_CREAT | os.O_EXCL) as (beside, number):
        try:
            with os.fdopen(number, "wb", closefd=False) as file:
                yield beside, file
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise


def remove_left(out: Path) -> list[Path]:
    """Remove what processes left that were killed while they made ``out``.

    Returns:
        What the disk does not let go of.
    """
    pattern = re.compile(rf"\.{re.escape(_short(out))}{_ENDING}")
    return [path for path in _named(pattern, out.parent) if not _is_removed(path)]


def remove_left_in(folder: Path, *, alone: bool = False) -> None:
    """Remove the files of any name that killed processes left in a folder.

    Folders in it stay: they may be staged by a process at work. Nothing is looked for below them.

    Args:
        folder: which need not be there.
        alone: nobody but this process writes there, so what nobody can tell the owner of is left, too.
    """
    for path in _named(re.compile(rf"\..+{_ENDING}"), folder):
        if not path.is_dir():
            _is_removed(path, alone=alone)
    for path in _named(_EARLIER, folder):
        with suppress(OSError):
            told = _EARLIER.fullmatch(path.name)
            if told and path.is_file() and not path.is_symlink() and (alone or not is_alive(int(told[1]))):
                path.unlink()


def _named(pattern: re.Pattern[str], folder: Path) -> list[Path]:
    with suppress(OSError), os.scandir(folder) as entries:  # a folder may be written and not listed
        return [Path(entry.path) for entry in entries if pattern.fullmatch(entry.name)]
    return []


def _is_removed(path: Path, *, alone: bool = False) -> bool:
    """Remove it where its process is gone; False where that is so and it is still there."""
    with suppress(InUse, OSError):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            return True  # nothing of ours
        # Some network file systems lock only what is opened to be written.
        flags = os.O_RDONLY | os.O_DIRECTORY if path.is_dir() else os.O_RDWR
        with locked_descriptor(path, flags) as (_, unlocked):
            if unlocked is not None and not alone:
                return True  # nobody knows whose it is
            with suppress(OSError):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
            return not os.path.lexists(path)
    return True


@contextmanager
def _locked(out: Path, flags: int) -> Iterator[tuple[Path, int]]:
    """Something new beside ``out``, and its descriptor, locked where the file system has locks."""
    with ExitStack() as held:
        for _ in range(_TRIES):
            path = out.with_name(f".{_short(out)}.rescli-{secrets.token_hex(_TOKEN_BYTES)}.tmp")
            if flags & os.O_DIRECTORY:
                path.mkdir()
            with suppress(InUse, FileNotFoundError):
                number, _ = held.enter_context(locked_descriptor(path, flags))
                if not is_moved(path):
                    yield path, number
                    return
            # Another took it for one that was left, before it was locked.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))


def _short(out: Path) -> str:
    """The beginning of its name: one as long as the file system allows leaves no room for more beside it."""
    return out.name if len(os.fsencode(out.name)) <= _LONG_NAME else out.name[:_SHORTENED]
