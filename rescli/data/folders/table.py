"""A table as people write them, and which image a cell of it names."""

from __future__ import annotations

import codecs
import csv
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path, PurePosixPath

from rescli.data.folders.names import ALL_SUFFIXES
from rescli.errors import DataError
from rescli.files import read_file

__all__ = ["ImageNames", "is_number", "read_rows", "table_refused"]

table_refused = partial(DataError, page="table-of-labels-not-understood")
"""The error of a table of labels that is not understood."""

_MOST_BYTES = 256 << 20
_DELIMITERS = ("\t", ",", ";", "|")
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8-sig"}


def read_rows(path: Path) -> list[list[str]]:
    """The cells of a table, as many in each row; none where it is no text.

    Raises:
        DataError: it cannot be read.
    """
    try:
        text = _decoded(read_file(path, most=_MOST_BYTES))
    except OSError as error:
        raise table_refused(f"{path} cannot be read: {error.strerror or error}.") from error
    # Python's splitlines takes a letter of old code pages for the end of a line too.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and (not lines[0].strip() or lines[0].lstrip().startswith("#")):
        del lines[0]
    delimiter = next((one for one in _DELIMITERS if lines and one in lines[0]), None)
    if delimiter is None:
        return _even(row.split() for row in lines if row.strip())
    try:
        return _even(row for row in csv.reader(lines, delimiter=delimiter) if row)
    except csv.Error as error:
        raise table_refused(f"{path} cannot be read as a table: {error}.") from error


def _decoded(content: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _even(rows: Iterable[list[str]]) -> list[list[str]]:
    """A row that ends early has nothing in its last columns."""
    found = list(rows)
    width = max(map(len, found), default=0)
    return [row + [""] * (width - len(row)) for row in found]


def is_number(cell: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


class ImageNames:
    """Finds the image that a cell means: by its path or name, with suffix or without, in any case."""

    def __init__(self, images: Sequence[str], place: Path, root: Path) -> None:
        """Index names.

        Args:
            images: names in one folder.
            place: that folder.
            root: the folder around it, whose other folders a cell may mean.
        """
        self._root, self._place = root, place
        self._names = {_folded(name): name for name in images}
        # What could be either of two images is neither.
        self._bases = _unambiguous((PurePosixPath(name).name, name) for name in images)
        self._stems = _unambiguous((PurePosixPath(name).stem, name) for name in images)
        self._lower = _unambiguous((PurePosixPath(name).name.casefold(), name) for name in images)
        self._is_elsewhere = cache(self._elsewhere)

    def find(self, cell: str) -> str | None:
        """The image's name; None where the cell names none of them."""
        path = PurePosixPath(_folded(cell).strip().replace("\\", "/"))
        if not path.name:
            return None
        parts = path.parts
        for begin in range(len(parts) - 1):
            if (name := self._names.get("/".join(parts[begin:]))) is not None:
                return name
        if len(parts) > 1 and self._is_elsewhere(path.parent):
            return None
        known = self._names.get(path.name) or self._bases.get(path.name) or self._stems.get(path.name)
        if known is None:
            known = self._lower.get(path.name.casefold())
        if known is None and path.suffix.lower() in ALL_SUFFIXES:
            known = self._stems.get(path.stem)
        return known

    def _elsewhere(self, folder: PurePosixPath) -> bool:
        """Whether it is a folder of the root beside this one: its 1.jpg is not the one of this folder."""
        parts = [part for part in folder.parts if part not in ("/", "..")]
        for begin in range(len(parts)):
            found = self._root.joinpath(*parts[begin:])
            try:
                if found.is_dir():
                    inside, around = self._place in found.parents, found in self._place.parents
                    return found != self._place and not inside and not around
            except (OSError, ValueError):
                return False
        return False


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _unambiguous(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    twice = set()
    for key, name in pairs:
        if found.setdefault(_folded(key), name) != name:
            twice.add(_folded(key))
    return {key: name for key, name in found.items() if key not in twice}
