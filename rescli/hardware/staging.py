"""Folders that are made beside their place and get their name when they are whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rescli.hardware.file_lock import InUse, locked_descriptor

__all__ = ["staged_beside"]

_LONG_NAME, _SHORTENED = 200, 40
"""Bytes of a name that leaves room for more, and the letters that are kept of a longer one."""

_TRIES = 5


@contextmanager
def staged_beside(out: Path) -> Iterator[Path]:
    """A new folder beside ``out`` for as long as the block lasts, ``.NAME.XXXX.tmp``.

    Those that processes left which were killed while they made the same ``out`` are removed; those of
    processes at work stay, which is told by a lock on each.

    Args:
        out: what the caller makes; its parent must be there.

    Raises:
        OSError: it cannot be made.
    """
    name = out.name if len(os.fsencode(out.name)) <= _LONG_NAME else out.name[:_SHORTENED]
    _remove_left(out.parent, f".{name}.")
    with ExitStack() as held:
        for attempt in range(_TRIES):
            folder = out.with_name(f".{name}.{secrets.token_hex(4)}.tmp")
            folder.mkdir()
            try:
                held.enter_context(locked_descriptor(folder, os.O_RDONLY))
                break
            except (InUse, FileNotFoundError):  # another took it for one that was left, in between
                if attempt == _TRIES - 1:
                    raise
            except OSError:  # a file system that locks no folders: it is never taken for one that was left
                break
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_left(parent: Path, prefix: str) -> None:
    entries: list[Path] = []
    with suppress(OSError):  # a folder may be written and not listed
        entries = [*parent.iterdir()]
    for entry in entries:
        if not (entry.name.startswith(prefix) and entry.name.endswith(".tmp")) or entry.is_symlink():
            continue
        if "." in entry.name[len(prefix) : -len(".tmp")]:  # of another name, which begins alike
            continue
        with (
            suppress(InUse, OSError),
            locked_descriptor(entry, os.O_RDONLY | os.O_DIRECTORY) as (_, unlocked),
        ):
            if unlocked is None:
                shutil.rmtree(entry, ignore_errors=True)
