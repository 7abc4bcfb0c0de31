"""Labels of photographs that do not lie in class folders: out of a file beside them, or out of their names.

FILE.csv, .tsv or .txt with a column of file names and one of classes, with a heading or without:

    id,breed                                    Kaggle's train.csv or labels.csv
    val_0.JPEG <tab> n03444034 <tab> 0 ...      Tiny-ImageNet's val_annotations.txt
    filename, cat, dog                          Roboflow's _classes.csv: a column for each class, 1 in one
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rescli.data.folders.names import readable
from rescli.errors import DataError
from rescli.remedy import Remedy

__all__ = ["FROM_NAMES", "Labels", "find_labels_file", "labels_from_names", "read_labels_file"]

FROM_NAMES = "names"
"""What the key ``labels`` says where the class is the beginning of each file's name."""

_SUFFIXES = (".csv", ".tsv", ".txt")
_LARGEST_BYTES = 500 << 20
_MOST_FILES = 200
_LABEL_HEADINGS = (
    *("label", "labels", "class", "classes", "classname", "class_name", "category", "categories", "species"),
    *("breed", "target", "classid", "class_id", "labelid", "label_id", "categoryid", "category_id", "wnid"),
    *("y", "id_code", "diagnosis", "type", "family", "tag"),
)


@dataclass(frozen=True)
class Labels:
    """Which class each image has.

    Attributes:
        source: what is said of where they come from.
        by_name: file name, as it is in the folder, to class.
        without: images that have none.
    """

    source: str
    by_name: Mapping[str, str]
    without: tuple[str, ...]


def find_labels_file(
    images: Sequence[str], places: Iterable[Path], *, split: str, known_classes: Iterable[str] = ()
) -> Labels | None:
    """The labels of the images out of a table that lies in one of the places; None where none does.

    A file whose name begins with the split's is preferred, and one that names more of the images.

    Args:
        images: names in one folder.
        places: folders to look in.
        split: whose images they are.
        known_classes: where there are some, a table of other classes is none.

    Raises:
        DataError: a table names the images, but which of its columns has the classes, nobody can say; or two
            tables give an image two classes.
    """
    found: list[Labels] = []
    for path in _tables(places, split):
        labels = _labels_of(path, None, images)
        if labels is None or not labels.by_name:
            continue
        if known_classes and not set(labels.by_name.values()) & set(known_classes):
            continue
        found.append(labels)
        if not labels.without:
            break
    if not found:
        return None
    return min(found, key=lambda labels: len(labels.without))


def read_labels_file(path: Path, column: str | None, images: Sequence[str]) -> Labels:
    """The labels of the images out of the table that somebody named.

    Args:
        column: heading of the column with the classes; None for the only one it can be.

    Raises:
        DataError: it cannot be read, or names none of the images.
    """
    if not path.is_file():
        raise DataError(f"no such file of labels: {path}")
    labels = _labels_of(path, column, images)
    if labels is None:
        raise DataError(
            f"{path} names none of the {len(images)} images, such as {readable(images[0])}."
            if images
            else f"there are no images to label by {path}.",
            hint="one of its columns must hold the files' names, with suffix or without",
        )
    return labels


def labels_from_names(images: Sequence[str]) -> Labels:
    """The class as the beginning of each name, before its number: ``Abyssinian_12.jpg``, ``cat.3.jpg``."""
    by_name, without = {}, []
    for name in images:
        match = re.fullmatch(r"(.*?\D)[ ._-]*\(?\d+\)?", PurePosixPath(name).stem)
        label = match[1].rstrip(" ._-(") if match else ""
        if label:
            by_name[name] = label
        else:
            without.append(name)
    return Labels("the beginnings of the files' names", by_name, tuple(without))


def _tables(places: Iterable[Path], split: str) -> list[Path]:
    found: list[Path] = []
    for place in dict.fromkeys(places):
        if place.is_dir():
            found += sorted(
                path
                for path in place.iterdir()
                if path.suffix.lower() in _SUFFIXES and path.is_file() and not path.name.startswith(".")
            )[:_MOST_FILES]
    whole = [path for path in found if path.stat().st_size <= _LARGEST_BYTES]
    return sorted(whole, key=lambda path: not path.name.lower().startswith(split))


def _labels_of(path: Path, column: str | None, images: Sequence[str]) -> Labels | None:
    """None where the table names less than half of the images."""
    rows = _rows(path)
    if not rows:
        return None
    by_key = {key: name for name in images for key in (name, PurePosixPath(name).stem)}
    width = max(map(len, rows))

    def named(cell: str) -> str | None:
        file = PurePosixPath(cell.replace("\\", "/")).name
        return by_key.get(file) or by_key.get(cell)

    hits = [sum(index < len(row) and named(row[index]) is not None for row in rows) for index in range(width)]
    files = max(range(width), key=lambda index: hits[index])
    if hits[files] * 2 < len(images) or not hits[files]:
        return None
    heading = rows[0] if len(rows[0]) > files and named(rows[0][files]) is None else None
    body = [row for row in rows if len(row) > files and named(row[files]) is not None]
    label_of = _label_column(path, heading, body, files, column)
    by_name: dict[str, str] = {}
    for row in body:
        name = named(row[files])
        assert name is not None, "the rows were chosen by it"
        label = label_of(row)
        if not label:
            continue
        if by_name.setdefault(name, label) != label:
            raise DataError(
                f"{path} gives {readable(name)} two classes: {by_name[name]} and {label}.",
                hint="an image is of one class here; leave such rows out of the file",
            )
    without = tuple(name for name in images if name not in by_name)
    return Labels(str(path), by_name, without)


def _label_column(
    path: Path, heading: list[str] | None, body: list[list[str]], files: int, wanted: str | None
) -> Callable[[list[str]], str]:
    """Which cell of a row has the class.

    Args:
        heading: titles of the columns; None where the table has none.
        body: the rows that name an image.
        files: the column of the images' names.
        wanted: title of the column that somebody named.
    """
    others = [at for at in range(min(map(len, body))) if at != files]
    titles = [cell.strip() for cell in heading] if heading else []
    if wanted is not None:
        if wanted not in titles:
            raise DataError(f"{path} has no column {wanted!r}; it has {', '.join(titles) or 'no heading'}.")
        return _cell(titles.index(wanted))
    if heading and len(others) > 1 and all({row[at].strip() for row in body} <= {"0", "1"} for at in others):
        return _one_hot(path, titles, body, files, others)
    if len(others) == 1:
        return _cell(others[0])
    named = [at for at in others if at < len(titles) and titles[at].casefold() in _LABEL_HEADINGS]
    if len(named) == 1:
        return _cell(named[0])
    # Tiny-ImageNet's: the class, then four numbers of a box.
    boxes = all(_is_number(row[at]) for row in body for at in others[1:])
    if not heading and others and boxes and not any(_is_number(row[others[0]]) for row in body):
        return _cell(others[0])
    raise DataError(
        f"{path} names the images, but which of its columns has their classes is not clear: "
        f"{', '.join(titles) or f'{len(others) + 1} columns without a heading'}.",
        remedy=Remedy("data.dataset.labels", f"{path.name}:COLUMN"),
    )


def _cell(at: int) -> Callable[[list[str]], str]:
    return lambda row: row[at].strip() if at < len(row) else ""


def _one_hot(
    path: Path, titles: list[str], body: list[list[str]], files: int, columns: list[int]
) -> Callable[[list[str]], str]:
    for row in body:
        ones = sum(row[at].strip() == "1" for at in columns)
        if ones != 1:
            raise DataError(
                f"{path} gives {readable(row[files])} {ones} classes.",
                hint="an image is of one class here; leave such rows out of the file",
            )
    return lambda row: next(titles[at] for at in columns if row[at].strip() == "1")


def _rows(path: Path) -> list[list[str]]:
    """The cells of a table; none where it is no text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = path.read_text(encoding="latin-1")
        except OSError:
            return []
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    first = text.partition("\n")[0]
    delimiter = next((one for one in ("\t", ",", ";", "|") if one in first), None)
    if delimiter is None:
        return [row.split() for row in text.splitlines() if row.strip()]
    try:
        return [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if row]
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table: {error}.") from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
