"""Writing files so that a kill, a full disk or a power cut leaves the old one or the new one, whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

from rescli.errors import DataError, RescliError, UsageError, WriteError
from rescli.foreign_text import readable, shell_path
from rescli.hardware.disk.staging import remove_left, staged_file

__all__ = [
    "cache_dir",
    "cannot_write",
    "fsync_path",
    "open_file",
    "read_file",
    "remove",
    "require_nameable",
    "require_plain_file",
    "what_is_left",
    "without_waiting",
    "write_atomically",
    "write_json",
    "writing",
]


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GONE = (errno.ENOENT, errno.ENOTDIR)
_NOTHING = "nothing was"
_NO_FILE = "a pipe or a device, not a file"


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
    parts = [data] if isinstance(data, bytes) else data
    if _is_device(path):
        raise error(f"cannot write {path}: it is a pipe or a device, whose place no file takes.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged_file(path) as (beside, file):
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
            os.replace(beside, path)
        fsync_path(path.parent)
    except OSError as reason:
        raise cannot_write(path, reason, error=error, num_bytes=sum(map(len, parts))) from reason


def _is_device(path: Path) -> bool:
    """Whether a pipe, a socket or a device stands there, or a link to one."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def cannot_write(
    path: Path,
    reason: OSError,
    *,
    error: type[RescliError] = WriteError,
    left: str = "what was saved before is untouched",
    num_bytes: int | None = None,
) -> RescliError:
    """The error of a file or folder that cannot be written, with what to do about it.

    Args:
        path: what was to be written.
        reason: what the system said.
        error: its type, CheckpointError for what a run needs to go on.
        left: what there is now.
        num_bytes: how much room it takes, where that is known.
    """
    what = f"cannot write {path}: {reason.strerror or reason}; {what_is_left(path, left)}."
    return error(what, hint=_way_out(path, reason, num_bytes), page="disk-full-read-only-or-failing")


def what_is_left(path: Path, otherwise: str) -> str:
    """What a failure to write ``path`` leaves, in words, where the disk did not let go of what was begun.

    Args:
        path: what was to be written; what was made of it is closed.
        otherwise: the words where nothing more is left.
    """
    if not (stays := remove_left(path)):
        return otherwise
    left = f"{', '.join(map(str, stays))} cannot be removed now; whoever writes it next does so"
    return left if otherwise.startswith(_NOTHING) else f"{otherwise}; {left}"


def _way_out(path: Path, reason: OSError, num_bytes: int | None) -> str:
    try:
        there = shell_path(next((one for one in path.absolute().parents if os.path.isdir(one)), "/"))
    except FileNotFoundError:  # the working directory, which names begin in
        there = "/"
    if reason.errno in _FULL:
        room = f" for {num_bytes / 1e6:.1f} MB" if num_bytes is not None else ""
        return f"make room{room} (df -h {there}) and try again"
    if reason.errno in _GONE:
        return "its folder was moved or removed meanwhile: put it back and try again, or name another place"
    if reason.errno == errno.EIO:
        return f"the disk fails (df {there} names it): save what is on it, and name a place on another"
    return f"its disk is read-only, or not yours to write (ls -ld {there}; mount): name another place"


@contextmanager
def writing(
    path: Path,
    *,
    error: type[RescliError] = WriteError,
    left: str = "what was saved before is untouched",
    clean: Sequence[Path] = (),
    reads: Sequence[Path] = (),
) -> Iterator[None]:
    """A block that writes: what the disk refuses in it is said as ``cannot_write`` does.

    Args:
        path: what is being written.
        error: the type of the error.
        left: what there is then.
        clean: files and folders that are removed where the block is left by any error.
        reads: files and folders that the block reads: a failure there is none of writing.

    Raises:
        WriteError: an OSError left the block.
        DataError: one of a file that it reads did.
    """
    try:
        yield
    except BaseException as reason:
        remove(*clean)
        if isinstance(reason, OSError):
            if (unread := _read_from(reason, path, reads)) is not None:
                raise DataError(
                    f"{readable(unread)} cannot be read: {reason.strerror}; {left}.",
                    hint="look at its permissions and its disk, or leave the file out",
                ) from reason
            raise cannot_write(path, reason, error=error, left=left) from reason
        raise


def _read_from(reason: OSError, path: Path, reads: Sequence[Path]) -> str | None:
    """The file below ``reads`` that could not be read; None where the writing of ``path`` failed."""
    named = [os.path.abspath(name) for name in (reason.filename, reason.filename2) if isinstance(name, str)]
    out = os.path.abspath(path)
    # What is copied names the source first, whichever of the two failed; a full disk is that of the copy.
    if not named or reason.errno in (*_FULL, errno.EROFS):
        return None
    beside = os.path.join(os.path.dirname(out), f".{os.path.basename(out)}.")
    if any(name == out or name.startswith((f"{out}{os.sep}", beside)) for name in named):
        return None
    sources = [os.path.abspath(one) for one in reads]
    return named[0] if any(Path(named[0]).is_relative_to(one) for one in sources) else None


def remove(*paths: Path) -> None:
    """Remove files and folders, as far as they are there and the disk lets go of them.

    It never raises: where it cleans up, what went wrong before is what has to be told.
    """
    for path in paths:
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def require_plain_file(path: Path, error: type[RescliError]) -> None:
    """Refuse a pipe, a socket or a device; a file, a folder, and what is not there, pass.

    Args:
        path: what is to be read.
        error: what to raise.

    Raises:
        RescliError: of the type ``error``.
    """
    if _is_device(path):
        raise error(f"{path} is {_NO_FILE}.", hint="copy what it gives into a file, and name that")


def require_nameable(path: Path) -> None:
    """Refuse the path of a new file that no file can have, before any work is done for it.

    Raises:
        UsageError: it is too long, holds what a name cannot hold, or is a pipe or a device. A file renamed to
            ``/dev/null`` would take its place for every program of the machine.
    """
    try:
        os.lstat(path)
        if _is_device(path):
            raise UsageError(f"{path} is a pipe or a device, whose place no file takes.")
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


def read_file(path: str | os.PathLike[str], *, most: int | None = None) -> bytes:
    """The whole content of a plain file, of bounded size.

    A pipe, a device or a socket by its name could be waited for, or read, for ever.

    Args:
        path: of the file, or a link to one.
        most: bytes that are read; None for as many as this machine has memory.

    Raises:
        OSError: it is missing, unreadable, no plain file, or larger.
    """
    with open_file(path) as file:
        size, most = os.fstat(file.fileno()).st_size, _memory() if most is None else most
        if size > most:
            said = f"it has {size / 1e6:,.0f} MB, and no more than {most / 1e6:,.0f} MB can be read"
            raise OSError(errno.EFBIG, said, os.fspath(path))
        return file.read(size + 1)


def open_file(path: str | os.PathLike[str]) -> BufferedReader:
    """A plain file, to be read as bytes.

    A pipe, a device or a socket by its name could be waited for, or read, for ever.

    Args:
        path: of the file, or a link to one.

    Raises:
        OSError: it is missing, unreadable, or no plain file.
    """
    if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, f"it is {_NO_FILE}", os.fspath(path))
    # Something else may have come to the place since.
    return open(path, "rb", opener=without_waiting)


def without_waiting(path: str, flags: int) -> int:
    """An ``opener`` for ``open``: a pipe to which nobody writes would be waited for for ever."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)  # less the umask, as ``open`` has it


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def fsync_path(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk.

    Without the latter a rename may not survive a power cut.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
