"""What an official archive of ImageNet may hold: plain files with plain names, whole to its end."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from rescli.errors import DataError
from rescli.files import open_file

__all__ = ["opened", "plain_files", "reading"]

_LONGEST_NAME = 255
"""Bytes, on nearly every file system."""
_BLOCK = 512
"""Bytes that everything in a tar archive is a multiple of."""


@contextmanager
def opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """An uncompressed archive, to be read within the block.

    Raises:
        DataError: it is missing, unreadable, no plain file, or damaged.
    """
    try:
        file = open_file(archive)
    except OSError as error:
        raise DataError(f"{archive} cannot be read: {error.strerror or error}.") from error
    with file, reading(str(archive)), tarfile.open(fileobj=file, mode="r:") as tar:
        yield tar


@contextmanager
def reading(where: str) -> Iterator[None]:
    """A block that reads an archive, called ``where`` in messages.

    Raises:
        DataError: it is damaged.
    """
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{where} is damaged: {error}.", hint="get the archive again") from error


def plain_files(tar: tarfile.TarFile, where: str) -> Iterator[tarfile.TarInfo]:
    """The members; and checks that the last is the last, for tarfile takes a damaged header for the end.

    Raises:
        DataError: one is no plain file with a plain name, or the archive is cut.
    """
    end = 0
    for member in tar:
        name = member.name
        if not _is_plain(name) or member.type not in tarfile.REGULAR_TYPES or member.issparse():
            raise DataError(
                f"{where} has a member that is no plain file with a plain name: {name[:80]!r}; "
                "nothing of it is written.",
                hint="the official archives have none such: get the archive again",
            )
        yield member
        end = member.offset_data + -(-member.size // _BLOCK) * _BLOCK
    assert tar.fileobj is not None
    tar.fileobj.seek(end)
    if tar.fileobj.read(_BLOCK) != bytes(_BLOCK):
        raise DataError(f"{where} is damaged or cut off at byte {end}.", hint="get the archive again")


def _is_plain(name: str) -> bool:
    """Whether a name is that of one file in a folder on every system, and short enough for it."""
    whole = name == PurePosixPath(name).name and not name.startswith(".") and "\\" not in name
    return whole and name.isprintable() and len(name.encode()) <= _LONGEST_NAME
