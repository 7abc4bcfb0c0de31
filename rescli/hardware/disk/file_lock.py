"""Holding a folder alone, also where its file system has no locks, as some network ones have none."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "InUse",
    "held_alone",
    "is_alive",
    "is_held",
    "is_moved",
    "locked_descriptor",
    "place_of",
    "stand_in_of",
]

_log = logging.getLogger(__name__)

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EBADF}
"""What ``flock`` answers where it is not implemented (Lustre, some NFS, for folders or at all); EWOULDBLOCK
alone is "in use"."""

_SECOND_LOOK_SECONDS = 0.2
_GLANCE_SECONDS = 0.02
_LOOKING_SECONDS = 0.5
"""For how long and how often somebody looks again whom only shared locks refuse: those of ``is_held`` last
for microseconds."""

_warned: set[int] = set()
_mine: set[Path] = set()
"""Stand-ins that this process holds."""

_held: dict[int, Path] = {}
"""Descriptors with a lock of this process. A process that is forked off it has them too, and the lock would
last as long as that one; so it closes them first of all."""


class InUse(Exception):
    """Somebody else holds it.

    Args:
        owner: who, as far as is known: ``process 123``.
        hint: what to do where the owner may be gone.
    """

    def __init__(self, owner: str, hint: str | None = None) -> None:
        super().__init__(owner)
        self.owner, self.hint = owner, hint


@contextmanager
def held_alone(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made where it is missing, for as long as the block lasts.

    The lock is the kernel's: it ends with the process, however that ends. Where the file system has none, a
    file beside it stands in, with one warning; one left by a process of this machine that is gone is taken
    over.

    Raises:
        InUse: another holds it.
        OSError: the file cannot be written.
    """
    with locked_descriptor(path, os.O_RDWR | os.O_CREAT) as (number, unsupported):
        if unsupported is not None:
            with _standing_in(path, unsupported):
                yield
            return
        if _is_there(path, number) is False:
            raise InUse("another process")
        os.ftruncate(number, 0)
        with suppress(OSError):  # a full disk: whose it is need not be known for it to hold
            os.pwrite(number, f"process {os.getpid()}".encode(), 0)
        yield


@contextmanager
def locked_descriptor(path: Path, flags: int) -> Iterator[tuple[int, str | None]]:
    """A file or folder, opened and locked for as long as the block lasts.

    Yields:
        Its descriptor, and why there is no lock where the file system has none.

    Raises:
        InUse: another process has locked it.
        OSError: it cannot be opened.
    """
    number = os.open(path, flags, 0o666)
    _held[number] = path
    try:
        yield number, _lock(number)
    finally:
        if _held.pop(number, None) is not None:
            os.close(number)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file, as ``held_alone`` takes it; nothing is written.

    A shared lock is asked for and let go of at once. Who holds the lock does not notice it, and who asks for
    the lock in that moment looks again.

    Returns:
        False too where nobody may tell.
    """
    if os.path.lexists(held := stand_in_of(path)):
        return held in _mine or not _is_stale(_read(held), socket.gethostname())
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    _held[number] = path
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK
    finally:
        if _held.pop(number, None) is not None:
            os.close(number)
    return False


def is_moved(path: Path) -> bool:
    """Whether this process holds the lock of a file that no longer has that name.

    A network file system may fail to tell, or for a moment tell a file from itself: that is no move.
    """
    if not _is_gone(path):
        return False
    time.sleep(_SECOND_LOOK_SECONDS)
    return _is_gone(path)


def place_of(path: Path) -> Path | None:
    """Where the file of a lock lies that ``is_moved``; None where it is deleted, or nobody knows."""
    for number, held in [*_held.items()]:  # other threads write, too
        with suppress(OSError):
            if held == path:
                place = Path(os.readlink(f"/proc/self/fd/{number}"))
                return place if _is_there(place, number) else None
    return None


def stand_in_of(path: Path) -> Path:
    """The file that stands in for a lock of ``path``."""
    return path.with_name(f"{path.name}.held")


def is_alive(pid: int) -> bool:
    """Whether there is a process of that number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _lock(number: int) -> str | None:
    ends = time.monotonic() + _LOOKING_SECONDS
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                if error.errno not in _NO_LOCKS:
                    raise
                return error.strerror or str(error)
            if not _is_only_asked_about(number) or time.monotonic() > ends:
                raise InUse(_owner(number)) from error
        time.sleep(_GLANCE_SECONDS)


def _is_only_asked_about(number: int) -> bool:
    """Whether nobody holds what was refused just now: a shared lock goes beside those of ``is_held``."""
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.flock(number, fcntl.LOCK_UN)
    return True


def _owner(number: int) -> str:
    content = b""
    with suppress(OSError):  # a folder says nothing
        content = os.pread(number, 200, 0)
    return content.decode("utf-8", "replace").strip() or "another process"


def _is_gone(path: Path) -> bool:
    numbers = [number for number, held in [*_held.items()] if held == path]
    return bool(numbers) and all(_is_there(path, number) is False for number in numbers)


def _is_there(path: Path, number: int) -> bool | None:
    """Whether the locked file is the one of that name: another may have taken the folder back meanwhile.

    Returns:
        None where the file system does not say.
    """
    try:
        return os.path.samestat(os.fstat(number), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None


def _leave_to_the_parent() -> None:
    for number in _held:
        with suppress(OSError):
            os.close(number)
    _held.clear()


os.register_at_fork(after_in_child=_leave_to_the_parent)


@contextmanager
def _standing_in(path: Path, reason: str) -> Iterator[None]:
    held, here = stand_in_of(path), socket.gethostname()
    own = f"process {os.getpid()} on {here}"
    _take_over_if_stale(held, here)
    try:
        descriptor = os.open(held, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        owner = _read(held) or "another process"
        raise InUse(owner, f"where it is gone, delete {held}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(own)
    _mine.add(held)
    device = held.stat().st_dev
    if device not in _warned:
        _warned.add(device)
        _log.warning(
            "no locks on the file system of %s (%s): %s stands in for one.", path.parent, reason, held
        )
    try:
        yield
    finally:
        _mine.discard(held)
        if _read(held) == own:
            held.unlink(missing_ok=True)


def _take_over_if_stale(held: Path, here: str) -> None:
    content = _read(held)
    if held in _mine or not _is_stale(content, here):
        return
    aside = held.with_name(f"{held.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        held.rename(aside)
        if _read(aside) != content:  # another was quicker, and this is its own
            os.link(aside, held)
        aside.unlink()


def _is_stale(content: str, here: str) -> bool:
    """Whether a stand-in was left by a process of this machine that is gone, or by this one."""
    words = content.split()
    if len(words) != 4 or words[3] != here or not words[1].isdecimal():
        return False
    pid = int(words[1])
    return pid == os.getpid() or not is_alive(pid)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
