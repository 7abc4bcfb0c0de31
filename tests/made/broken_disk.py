"""A disk that breaks in the middle of a command: read-only, full, failing, or a folder that is taken away.

Root may write anywhere, so calls of Python are refused here in place of the disk; what other libraries write
in their own code is not.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["KINDS", "BrokenDisk"]

KINDS = ("read-only", "full", "quota", "failing", "gone", "a file")
"""How it breaks: the last two take the folder away, and put a file in its place."""

_ERRORS = {
    "read-only": errno.EROFS,
    "full": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "failing": errno.EIO,
}
_CALLS = ("mkdir", "rename", "replace", "unlink", "remove", "rmdir", "symlink", "link", "truncate", "utime")


class BrokenDisk:
    """Counts what is written below a folder, and breaks at one of it.

    Args:
        folder: whose disk it is; other folders are left alone.
        kind: one of ``KINDS``.
        after: operations that go well; None for all of them.
    """

    def __init__(self, folder: Path, kind: str = "read-only", after: int | None = None) -> None:
        self.folder, self.kind, self.after = str(folder.absolute()), kind, after
        self.count = 0
        self.log: list[str] = []

    @property
    def is_broken(self) -> bool:
        """Whether it came to that."""
        return self.after is not None and self.count > self.after

    @contextmanager
    def __call__(self) -> Iterator[None]:
        saved = [(os, name, getattr(os, name)) for name in _CALLS]
        saved += [(os, "open", os.open), (os, "fsync", os.fsync), (io, "open", io.open)]
        saved += [(builtins, "open", builtins.open)]
        for name in _CALLS:
            setattr(os, name, self._guarded(name, getattr(os, name)))
        os.open = self._low_open(os.open)
        os.fsync = self._fsync(os.fsync)
        builtins.open = io.open = self._open(io.open)
        try:
            yield
        finally:
            for place, name, call in saved:
                setattr(place, name, call)

    def _touch(self, what: str, path: object) -> None:
        """One operation; raises where the disk is broken."""
        self.count += 1
        self.log.append(f"{what} {path}")
        if not self.is_broken:
            return
        if self.kind in _ERRORS:
            if what in ("unlink", "remove", "rmdir") and self.kind in ("full", "quota"):
                return
            raise OSError(_ERRORS[self.kind], os.strerror(_ERRORS[self.kind]), str(path))
        if self.count == self.after + 1:
            kept, self.after = self.after, None
            shutil.rmtree(self.folder, ignore_errors=True)
            if self.kind == "a file":
                Path(self.folder).write_text("no folder any more")
            self.after = kept
            self.count = kept + 1

    def _is_ours(self, path: object, given: dict[str, Any]) -> bool:
        if isinstance(path, int):
            return False
        if given.get("dir_fd") is not None:
            return self.is_broken and self.kind in _ERRORS
        return os.path.abspath(os.fsdecode(path)).startswith(self.folder)

    def _guarded(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(path: Any, *further: Any, **given: Any) -> Any:
            about = further[0] if name in ("symlink", "link", "rename", "replace") and further else path
            if self._is_ours(about, given):
                self._touch(name, about)
            return call(path, *further, **given)

        return guarded

    def _low_open(self, call: Callable[..., int]) -> Callable[..., int]:
        def guarded(path: Any, flags: int, *further: Any, **given: Any) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and self._is_ours(path, given):
                self._touch("os.open", path)
            return call(path, flags, *further, **given)

        return guarded

    def _fsync(self, call: Callable[[int], None]) -> Callable[[int], None]:
        def guarded(descriptor: int) -> None:
            if self.is_broken and self.kind in ("failing", "full", "quota"):
                raise OSError(_ERRORS[self.kind], os.strerror(_ERRORS[self.kind]))
            call(descriptor)

        return guarded

    def _open(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(path: Any, mode: str = "r", *further: Any, **given: Any) -> Any:
            writes = bool({*mode} & {*"wax+"})
            if writes and self._is_ours(path, {}):
                if self.after is not None and self.count >= self.after and self.kind == "full":
                    self.count += 1
                    call(path, mode, *further, **given).close()  # there is room for a name, and for no byte
                    full = call("/dev/full", "wb", buffering=0)  # a buffer would fail once more when closed
                    return full if "b" in mode else io.TextIOWrapper(full, write_through=True)
                self._touch("open", path)
            return call(path, mode, *further, **given)

        return guarded
