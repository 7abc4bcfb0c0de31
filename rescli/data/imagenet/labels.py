"""The classes of ImageNet's validation images, which come as files without: from the devkit or from a CSV.

Looked for in a folder, each under its published name, and several must agree:

ILSVRC2012_devkit_t12/data/ or ILSVRC2012_devkit_t12.tar.gz     the devkit of ILSVRC 2012
LOC_val_solution.csv                                            of Kaggle: ImageId,PredictionString
val.csv                                                         anybody's: file,wnid
"""

from __future__ import annotations

import csv
import io
import re
import tarfile
import zlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath

import scipy.io  # type: ignore[import-untyped]

from rescli.errors import DataError, first_names
from rescli.files import open_file, read_file
from rescli.plurals import are, counted

__all__ = ["DEVKIT", "SOURCES", "csv_labels", "devkit_labels", "find_labels", "labels_of"]

DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
SOURCES = ("ILSVRC2012_devkit_t12", DEVKIT, "LOC_val_solution.csv", "val.csv")

_TRUTH, _META = "data/ILSVRC2012_validation_ground_truth.txt", "data/meta.mat"
_LARGEST_MEMBER_BYTES = 64 << 20
"""A hundred times the size of the members that are read; a larger one belongs to no devkit."""

_WNID = re.compile(r"n\d{8}")


def find_labels(places: Iterable[Path]) -> tuple[Path, dict[str, str]] | None:
    """The first source in the folders, and WordNet ids by file name without suffix; None where there is none.

    Raises:
        DataError: a source is damaged, or two of them differ.
    """
    found: dict[Path, dict[str, str]] = {}
    for path in dict.fromkeys(place / name for place in places for name in SOURCES):
        try:
            if path.exists():
                found[path] = _read(path)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not found:
        return None
    (first, labels), *others = found.items()
    for path, other in others:
        if differing := sorted(stem for stem in labels.keys() & other.keys() if labels[stem] != other[stem]):
            raise DataError(
                f"{first} and {path} give {counted(len(differing), 'image')} different classes: "
                f"{first_names(differing)}.",
                hint="move the wrong one away",
            )
    return first, labels


def labels_of(
    names: Iterable[str], labels: Mapping[str, str], class_names: Collection[str], source: Path
) -> list[str]:
    """The WordNet id of each file.

    Raises:
        DataError: files without a label, or labels that are no class.
    """
    stems = [PurePosixPath(name).stem for name in names]
    if missing := [stem for stem in stems if stem not in labels]:
        raise DataError(
            f"{source} has no label for {len(missing)} of {counted(len(stems), 'image')}: "
            f"{first_names(missing)}."
        )
    wnids = [labels[stem] for stem in stems]
    if unknown := sorted(set(wnids) - set(class_names)):
        raise DataError(
            f"{source} has {counted(len(unknown), 'class')} that {are(len(unknown))} none: "
            f"{first_names(unknown)}."
        )
    return wnids


def devkit_labels(truth: str, meta: bytes) -> dict[str, str]:
    """File name without suffix, ILSVRC2012_val_00000001 and on, to WordNet id.

    Args:
        truth: the text whose line k is image k's ILSVRC2012_ID. That is no label of any net: those follow the
            sorted WordNet ids.
        meta: the bytes of meta.mat, which tells which id is which.

    Raises:
        DataError: damaged, or a line that is no id of meta.mat.
    """
    # Malformed files make loadmat raise nearly anything.
    try:
        synsets = scipy.io.loadmat(io.BytesIO(meta), squeeze_me=True, variable_names=["synsets"])["synsets"]
        wnids = {
            int(number): str(wnid)
            for number, wnid in zip(synsets["ILSVRC2012_ID"], synsets["WNID"], strict=True)
        }
    except Exception as error:
        raise DataError(f"meta.mat of the devkit is damaged: {' '.join(str(error).split())}") from error
    labels = {}
    for number, line in enumerate(truth.split(), start=1):
        if not line.isdecimal() or int(line) not in wnids:
            raise DataError(f"line {number} of the devkit's ground truth is no id of meta.mat: {line!r}.")
        labels[f"ILSVRC2012_val_{number:08d}"] = wnids[int(line)]
    return labels


def csv_labels(text: str, name: str) -> dict[str, str]:
    """File name without suffix to WordNet id.

    Args:
        text: two columns: a file's name, with its suffix or without, and a WordNet id, or Kaggle's boxes, of
            which each begins with one. A first line without an id is a heading.
        name: what errors call the file.

    Raises:
        DataError: a line that is not so, or a file twice.
    """
    labels: dict[str, str] = {}
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    for number, row in enumerate(rows, start=1):
        if not row or (number == 1 and not (len(row) > 1 and _WNID.match(row[1].strip()))):
            continue
        # Of a box only the id begins with a letter.
        words = [word for word in row[1].split() if word[0].isalpha()] if len(row) == 2 else []
        if len(set(words)) != 1 or not _WNID.fullmatch(words[0]):
            raise DataError(
                f"line {number} of {name} is not FILE,WNID: {','.join(row)[:80]!r}.",
                hint="each line should be like: ILSVRC2012_val_00000001.JPEG,n01751748",
            )
        stem = PurePosixPath(row[0].strip()).stem
        if stem in labels:
            raise DataError(f"line {number} of {name} names {stem} a second time.")
        labels[stem] = words[0]
    return labels


def _read(path: Path) -> dict[str, str]:
    try:
        if path.name.endswith(".csv"):
            return csv_labels(read_file(path, most=_LARGEST_MEMBER_BYTES).decode("utf-8"), str(path))
        if path.name == DEVKIT:
            truth, meta = _members(path)
        else:
            truth, meta = (read_file(path / one, most=_LARGEST_MEMBER_BYTES) for one in (_TRUTH, _META))
        return devkit_labels(truth.decode("ascii"), meta)
    except (UnicodeError, csv.Error) as error:
        raise DataError(f"{path} is damaged: {error}.") from error
    except FileNotFoundError as error:
        raise DataError(f"{path} is incomplete: no {error.filename}.") from error


def _members(archive: Path) -> tuple[bytes, bytes]:
    """Truth and meta.mat of the devkit's archive, read and not extracted: nothing gets a name on the disk."""
    found: dict[str, bytes] = {}
    try:
        with open_file(archive) as file, tarfile.open(fileobj=file, mode="r:gz") as tar:
            for member in tar:
                name = next((part for part in (_TRUTH, _META) if member.name.endswith(f"/{part}")), None)
                if name is not None and member.isfile() and member.size <= _LARGEST_MEMBER_BYTES:
                    stream = tar.extractfile(member)
                    assert stream is not None
                    found[name] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(f"{archive} is damaged: {error}.", hint="get it again") from error
    if absent := [name for name in (_TRUTH, _META) if name not in found]:
        raise DataError(f"{archive} is no devkit of ILSVRC 2012: no {', '.join(absent)} in it.")
    return found[_TRUTH], found[_META]
