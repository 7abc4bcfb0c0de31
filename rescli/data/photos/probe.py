"""Whether image files are whole, found out before a training rather than in its middle."""

from __future__ import annotations

import os
from pathlib import Path

from rescli.data.photos.decoding import open_rgb, read_header
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.packed import PackedImages
from rescli.data.photos.prefetch import map_ahead, map_quick
from rescli.errors import DataError
from rescli.hardware.cores import usable_cores
from rescli.remedy import Remedy

__all__ = ["require_whole"]

_MOST_FILES = 200_000
"""Files of a split that are looked at, some 10 s on one core; of more, so many at equal distances."""

_MOST_PIXELS = 2**29
"""Pixels that are decoded to see that all are there, some 5 s on one core."""

_TAIL_BYTES = 64
_NAMED = 3


def require_whole(files: ImageFiles, split: str, *, decode: bool) -> None:
    """Refuse image files that are damaged.

    The header of each is read, and whether the file ends as a whole one does: that finds what is no image and
    what was cut off. A file that ends otherwise is decoded. Packed images were decoded when they were packed.

    Args:
        files: the images of a split.
        split: its name, for errors.
        decode: decode the images too, where all together have no more than ``_MOST_PIXELS``.

    Raises:
        DataError: how many are damaged, and the first few of them.
    """
    if isinstance(files, PackedImages):
        return
    count = min(len(files), _MOST_FILES)
    names = [files.file_names[index * len(files) // count] for index in range(count)]
    threads = usable_cores()
    found = list(map_quick(lambda name: _looked_at(files.root / name), names, threads=threads))
    damaged = [reason for reason in found if isinstance(reason, str)]
    pixels = sum(reason for reason in found if isinstance(reason, int))
    if decode and not damaged and pixels <= _MOST_PIXELS:
        decoded = map_ahead(lambda name: _decoded(files.root / name), names, threads=threads)
        damaged = [reason for reason in decoded if reason is not None]
    if damaged:
        more = f"; and {len(damaged) - _NAMED} more" if len(damaged) > _NAMED else ""
        raise DataError(
            f"{len(damaged)} of the {len(files)} {split} images cannot be read: "
            f"{'; '.join(damaged[:_NAMED])}{more}.",
            hint="replace or remove the files; or to go on without them",
            remedy=Remedy("data.skip_damaged"),
        )


def _looked_at(path: Path) -> int | str:
    """The pixels of a file that looks whole, or why it is damaged."""
    try:
        header = read_header(path)
    except DataError as error:
        return str(error)
    plain = header.mode[0] not in "IF" and _ends_as_it_should(path, header.format)
    reason = None if plain else _decoded(path)
    return header.width * header.height if reason is None else reason


def _decoded(path: Path) -> str | None:
    try:
        open_rgb(path)
    except DataError as error:
        return str(error)
    return None


def _ends_as_it_should(path: Path, kind: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES)
    except OSError:
        return False  # the decoding says why
    if kind == "JPEG":
        return tail.endswith(b"\xff\xd9")
    return kind == "PNG" and tail[-8:-4] == b"IEND"
