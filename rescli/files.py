"""Writing files so that a kill, a full disk or a power cut leaves the old one or the new one, whole."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rescli.errors import RescliError, UsageError, WriteError
from rescli.foreign_text import shell_path

__all__ = ["cache_dir", "fsync_path", "require_nameable", "write_atomically", "write_json"]


_LONG_NAME, _SHORTENED = 200, 40
"""Bytes of a file's name, and the letters that are kept of a longer one."""


def cache_dir() -> Path:
    """The folder ``rescli`` of the user's cache (XDG_CACHE_HOME, else ~/.cache); it holds copies only."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "rescli"


def write_atomically(
    path: Path, data: bytes | Sequence[bytes | memoryview], *, error: type[RescliError] = WriteError
) -> None:
    """Write beside, fsync, rename into place, fsync the directory.

    Args:
        path: where the file is to be; its folder is made where it is missing.
        data: the whole content, or its parts in their order.
        error: what to raise. CheckpointError for what a run needs to go on: its state, its checkpoints, its
            record; for a picture, a table or a note the default.

    Raises:
        WriteError: the disk is full or not writable; what stood at ``path`` is untouched.
    """
    # A name as long as the file system allows leaves no room for more beside it.
    name = path.name if len(os.fsencode(path.name)) <= _LONG_NAME else path.name[:_SHORTENED]
    beside = path.with_name(f".{name}.{os.getpid()}.tmp")
    parts = [data] if isinstance(data, bytes) else data
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        fsync_path(path.parent)
    except BaseException as reason:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if not isinstance(reason, OSError):
            raise
        raise error(
            f"cannot write {path}: {reason.strerror or reason}; what was saved before is untouched.",
            hint=f"make room for {sum(map(len, parts)) / 1e6:.1f} MB (df -h {shell_path(path.parent)}) and "
            "try again",
        ) from reason


def require_nameable(path: Path) -> None:
    """Refuse the path of a new file that no file can have, before any work is done for it.

    Raises:
        UsageError: it is too long, or holds what a name cannot hold.
    """
    try:
        os.lstat(path)
    except ValueError as error:
        raise UsageError(f"{str(path)!r} cannot be the name of a file: {error}.") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UsageError(f"{path} cannot be written: the name is too long.") from error


def write_json(path: Path, value: Any, *, error: type[RescliError] = WriteError) -> None:
    """Write ``value`` as indented JSON, as ``write_atomically`` does.

    Args:
        path: where the file is to be.
        value: anything that JSON can say; numbers must be finite.
        error: what to raise where it cannot be written.

    Raises:
        WriteError: the disk is full or not writable.
    """
    write_atomically(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode(), error=error)


def fsync_path(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk.

    Without the latter a rename may not survive a power cut.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
