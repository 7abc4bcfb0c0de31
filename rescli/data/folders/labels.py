"""Labels of photographs that do not lie in class folders: out of a file beside them, or out of their names.

FILE.csv, .tsv or .txt with a column of file names and one of classes, with a heading or without:

    id,breed                                    Kaggle's train.csv or labels.csv
    val_0.JPEG <tab> n03444034 <tab> 0 ...      Tiny-ImageNet's val_annotations.txt
    filename, cat, dog                          Roboflow's _classes.csv: a column for each class, 1 in one
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rescli.data.folders.names import ALL_SUFFIXES
from rescli.data.folders.table import ImageNames, is_number, read_rows, table_refused
from rescli.errors import DataError
from rescli.foreign_text import readable
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["FROM_NAMES", "Labels", "find_labels_file", "labels_from_names", "read_labels_file", "tables_in"]

FROM_NAMES = "names"
"""What the key ``labels`` says where the class is the beginning of each file's name."""

_SUFFIXES = (".csv", ".tsv", ".txt")
_LARGEST_BYTES = 20 << 20
"""The size up to which a table is read that nobody named: a million lines."""
_MOST_FILES = 200
_NAME_HEADINGS = (
    *("file", "filename", "file_name", "filepath", "filepaths", "file_path", "path", "paths", "name"),
    *("image", "images", "image_id", "imageid", "image_name", "imagename", "image_path", "img", "id", "uuid"),
)
_SPLIT_HEADINGS = ("split", "subset", "set", "fold", "is_valid", "is_train", "is_test", "data set", "usage")
_BITS, _ONES = {"0", "1", "0.0", "1.0"}, {"1", "1.0"}
_NO_LABELS = {"NaN", "nan"}
"""What pandas writes where there was nothing."""
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
        split_columns: titles of columns that say which split an image is in; they are not used.
        table: the file, relative to the root; empty where there is none.
        used: numbers of the rows that name one of the images.
        absent: number of each other row to what it names.
        repeated: rows that give an image the class that it has by another one.
    """

    source: str
    by_name: Mapping[str, str]
    without: tuple[str, ...]
    split_columns: tuple[str, ...] = ()
    table: str = ""
    used: frozenset[int] = frozenset()
    absent: Mapping[int, str] = field(default_factory=dict)
    repeated: int = 0


def find_labels_file(
    images: Sequence[str],
    places: Iterable[Path],
    *,
    place: Path | None = None,
    root: Path,
    split: str,
    known_classes: Collection[str] = (),
) -> Labels | None:
    """The labels of the images out of a table that lies in one of the places; None where none does.

    A file whose name begins with the split's is preferred, and one that names more of the images. Forms to
    fill in, ``sample_submission.csv``, are none.

    Args:
        images: names in one folder.
        places: folders to look in.
        place: the folder of the images; None for the root.
        root: the folder that remedies name the tables from.
        split: whose images they are.
        known_classes: where there are some, a table of other classes is none.

    Raises:
        DataError: a table names the images, but which of its columns has the classes, nobody can say; or two
            tables give an image two classes.
    """
    clear: dict[Path, Labels] = {}
    unclear: list[DataError] = []
    for path in tables_in(places, split):
        try:
            labels = _labels_of(path, None, images, place or root, root)
        except DataError as error:
            unclear.append(error)
            continue
        if labels is None or not labels.by_name:
            continue
        if not known_classes or {*labels.by_name.values()} & {*known_classes}:
            clear[path] = labels
    own = {path: labels for path, labels in clear.items() if path.name.lower().startswith(split)}
    found = own or clear
    if not found:
        if unclear:
            raise unclear[0]
        return None
    _require_agreement(found)
    return min(found.values(), key=lambda labels: len(labels.without))


def _require_agreement(found: Mapping[Path, Labels]) -> None:
    (first, labels), *others = found.items()
    for path, other in others:
        both = labels.by_name.keys() & other.by_name.keys()
        if differing := sorted(name for name in both if labels.by_name[name] != other.by_name[name]):
            raise table_refused(
                f"{first} and {path} give {counted(len(differing), 'image')} different classes, such as "
                f"{readable(differing[0])}.",
                remedy=[Remedy("data.dataset.labels", first.name), Remedy("data.dataset.labels", path.name)],
            )


def read_labels_file(
    path: Path, column: str | None, images: Sequence[str], *, place: Path | None = None, root: Path
) -> Labels:
    """The labels of the images out of the table that somebody named.

    Args:
        column: heading of the column with the classes, or its number from 1; None for the only one it can be.
        place: the folder of the images; None for the root.
        root: the folder that remedies name the table from.

    Raises:
        DataError: it cannot be read, or names none of the images.
    """
    if not path.exists() or path.is_dir():
        others = [os.path.relpath(one, root) for one in tables_in([path.parent, root], "")][:3]
        raise table_refused(
            f"no such file of labels: {path}",
            remedy=[Remedy("data.dataset.labels", name) for name in dict.fromkeys(others)],
        )
    labels = _labels_of(path, column, images, place or root, root, least=0.0)
    if labels is None:
        raise table_refused(
            f"{path} names none of the {counted(len(images), 'image')}, such as {readable(images[0])}."
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


def tables_in(places: Iterable[Path], split: str) -> list[Path]:
    """Files that may be tables of labels, those first whose names begin with the split's."""
    found: list[Path] = []
    for place in dict.fromkeys(places):
        if place.is_dir():
            found += sorted(
                path
                for path in place.iterdir()
                if path.suffix.lower() in _SUFFIXES
                and path.is_file()
                and not path.name.startswith(".")
                and "submission" not in path.name.lower()
            )[:_MOST_FILES]
    whole = [path for path in found if path.stat().st_size <= _LARGEST_BYTES]
    return sorted(whole, key=lambda path: not path.name.lower().startswith(split))


def _labels_of(
    path: Path, column: str | None, images: Sequence[str], place: Path, root: Path, *, least: float = 0.5
) -> Labels | None:
    """None where the table names less than that share of the images."""
    rows = read_rows(path)
    if not rows:
        return None
    names = ImageNames(images, place, root)
    width, whole = len(rows[0]), {PurePosixPath(name).name for name in images}
    named = [[names.find(row[at]) for row in rows] for at in range(width)]
    found = [{*column} - {None} for column in named]
    # Whole names count for more than numbers that could be names without their suffix.
    spelled = [{PurePosixPath(row[at]).name for row in rows} & whole for at in range(width)]
    hits = [(len(names), len(full)) for names, full in zip(found, spelled, strict=True)]
    if not max(hits)[0] or max(hits)[0] < least * len(images):
        return None
    titles = [cell.strip() for cell in rows[0]]
    likely = [at for at, count in enumerate(hits) if count == max(hits)]
    titled = [at for at in likely if titles[at].casefold() in _NAME_HEADINGS]
    if len(likely) > 1 and len(titled) != 1:
        raise _unclear(path, root, titles, "the files' names")
    files = titled[0] if titled else likely[0]
    image_of = named[files]
    # A first row of an image that is not there is no heading.
    is_heading = image_of[0] is None and not titles[files].lower().endswith(ALL_SUFFIXES)
    body = [row for row, name in zip(rows, image_of, strict=True) if name is not None]
    label_of = _label_column(path, root, titles if is_heading else [], body, files, column)
    by_name: dict[str, str] = {}
    conflicts: dict[str, str] = {}
    used, absent, repeated = set(), {}, 0
    for number, (row, name) in enumerate(zip(rows, image_of, strict=True)):
        if name is None:
            if (number or not is_heading) and row[files].strip():
                absent[number] = row[files].strip()
            continue
        used.add(number)
        label = label_of(row)
        if not label or label in _NO_LABELS:
            continue
        if name in by_name:
            repeated += 1
        if by_name.setdefault(name, label) != label:
            conflicts[name] = f"{readable(name)} ({readable(by_name[name])} and {readable(label)})"
    if conflicts:
        shown = ", ".join([*conflicts.values()][:3]) + (", ..." if len(conflicts) > 3 else "")
        raise table_refused(
            f"{path} gives {counted(len(conflicts), 'image')} two classes: {shown}.",
            hint="an image is of one class here; leave such rows out of the file",
        )
    without = tuple(name for name in images if name not in by_name)
    at = next((at for at in range(width) if at != files and _is_column(at, body, label_of)), None)
    title = titles[at] if is_heading and at is not None and width > 2 else ""
    unused = [title for title in titles if is_heading and title.casefold() in _SPLIT_HEADINGS]
    table = os.path.relpath(path, root)
    source = table + (f", column {title}" if title else "")
    return Labels(source, by_name, without, tuple(unused), table, frozenset(used), absent, repeated)


def _is_column(at: int, body: list[list[str]], label_of: Callable[[list[str]], str]) -> bool:
    return all(row[at].strip() == label_of(row) for row in body)


def _label_column(
    path: Path, root: Path, titles: list[str], body: list[list[str]], files: int, wanted: str | None
) -> Callable[[list[str]], str]:
    """Which cell of a row has the class.

    Args:
        titles: of the columns; none where the table has no heading.
        body: the rows that name an image.
        files: the column of the images' names.
        wanted: title or number of the column that somebody named.
    """
    others = [at for at in range(len(body[0])) if at != files and any(row[at].strip() for row in body)]
    if wanted is not None:
        if alike := [at for at, title in enumerate(titles) if title.casefold() == wanted.casefold()]:
            return _cell(titles.index(wanted) if wanted in titles else alike[0])
        if wanted.isdecimal() and int(wanted) - 1 in others:
            return _cell(int(wanted) - 1)
        columns = ", ".join(titles) or f"1 to {len(others) + 1}"
        raise table_refused(f"{path} has no column {wanted!r}; it has {columns}.")
    if len(others) == 1:
        return _cell(others[0])
    named = [at for at in others if titles and titles[at].casefold() in _LABEL_HEADINGS]
    if len(named) == 1:
        return _cell(named[0])
    if titles and not named and len(others) > 1:
        ones = [sum(row[at].strip() in _ONES for at in others) for row in body]
        if set(ones) == {1} and all({row[at].strip() for row in body} <= _BITS for at in others):
            return lambda row: next(titles[at] for at in others if row[at].strip() in _ONES)
    # Tiny-ImageNet's: the class, then four numbers of a box.
    boxes = len(others) == 5 and all(is_number(row[at]) for row in body for at in others[1:])
    if not titles and boxes and not any(is_number(row[others[0]]) for row in body):
        return _cell(others[0])
    raise _unclear(path, root, titles, "the classes")


def _unclear(path: Path, root: Path, titles: list[str], what: str) -> DataError:
    columns = ", ".join(map(readable, titles)) or "columns without a heading, which are named by number"
    return table_refused(
        f"{path} names the images, but it is not clear which column has {what}: {columns}.",
        remedy=Remedy("data.dataset.labels", f"{os.path.relpath(path, root)}:COLUMN"),
    )


def _cell(at: int) -> Callable[[list[str]], str]:
    return lambda row: row[at].strip()
