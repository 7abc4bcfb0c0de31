"""Whether an image file has the end that its beginning promises; no pixel is decoded."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from rescli.data.photos.decoding import end_of_tiff
from rescli.files import open_file

__all__ = ["has_its_end"]

_END_OF_JPEG = b"\xff\xd9"
_TAIL_BYTES = 64
_TRAILER_BYTES = 2**16
"""What a telephone may append to a JPEG; of a longer film it stays open whether the picture is whole."""


def has_its_end(path: Path, kind: str) -> bool | None:
    """Whether the file goes on to where it should end.

    Args:
        path: of an image file.
        kind: Pillow's name for its format.

    Returns:
        None where the format does not tell, or the file cannot be read.
    """
    try:
        if kind == "TIFF":
            end = end_of_tiff(path)
            return None if end is None else end <= path.stat().st_size
        with open_file(path) as file:
            return _ends(file, file.seek(0, os.SEEK_END), kind)
    except (OSError, struct.error):
        return None  # a decoding says why


def _ends(file: BinaryIO, size: int, kind: str) -> bool | None:
    if kind == "WEBP":
        return 8 + _number(file, 4) <= size
    if kind == "BMP":
        promised = _number(file, 2)
        return promised <= size if promised else None
    tail = _read(file, max(0, size - _TAIL_BYTES), _TAIL_BYTES)
    if kind == "PNG":
        return tail[-8:-4] == b"IEND"
    if kind == "GIF":
        return tail.rstrip(b"\0").endswith(b";")
    if kind == "JPEG":
        return tail.endswith(_END_OF_JPEG) or _ends_before_a_trailer(file, size)
    return None


def _ends_before_a_trailer(file: BinaryIO, size: int) -> bool:
    # A thumbnail in front of the pixels has an end of its own.
    start = max(_first_scan(file, size), size - _TRAILER_BYTES)
    return _END_OF_JPEG in _read(file, start, size - start)


def _first_scan(file: BinaryIO, size: int) -> int:
    """Where the pixels of a JPEG begin: within them FF D9 is its end, for FF is always followed by 00."""
    place = 2
    while place < size:
        mark, kind, length = struct.unpack(">BBH", _read(file, place, 4))
        if mark != 0xFF:
            break
        if kind == 0xFF:  # filling
            place += 1
            continue
        place += 2 + int(length)
        if kind == 0xDA:
            return place
    return size


def _number(file: BinaryIO, place: int) -> int:
    return int(struct.unpack("<I", _read(file, place, 4))[0])


def _read(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)
