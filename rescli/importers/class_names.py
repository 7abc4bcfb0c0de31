"""The classes of a net for images of one's own: as given, as their folders, or as its file has them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rescli.data.folders.read import folder_classes
from rescli.data.folders.specs import ImageFolderSpec
from rescli.errors import DataError, UsageError, first_names
from rescli.files import read_file
from rescli.foreign_text import readable
from rescli.plurals import are, counted
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec

__all__ = ["given_classes", "named_in_file", "other_names", "require_order", "with_classes"]

_KEYS = ("class_to_idx", "class_names", "classes", "idx_to_class", "id2label", "label2id")
"""Under which training programs keep the names, in any case."""

_DOUBTFUL_KEYS = (
    *("class2idx", "class_to_index", "idx2class", "index_to_class", "idx2label", "idx_to_label", "label2idx"),
    *("label_to_idx", "label_map", "label_names", "labels", "categories", "names", "vocab"),
)
"""The same; other names may lie there, so that there must be as many as the net has outputs."""

_MOST_DEPTH = 3

_NAMED = 6
"""Names of classes, of more."""

_BRACKETS = (("{", "}"), ("[", "]"), ("(", ")"))


def given_classes(given: str | os.PathLike[str] | Sequence[str] | None) -> tuple[str, ...] | None:
    """The names that the user gave, in the order of the net's outputs.

    Args:
        given: names; or ``"a,b,c"``; or a text file with a name on each line.

    Raises:
        UsageError: fewer than two names, an empty one, the same one twice, or no such file.

    Example:
        >>> given_classes("ant, bee")
        ('ant', 'bee')
    """
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        text = os.fspath(given)
        names = text.split(",") if "," in text else _lines_of(Path(text))
    else:
        names = [str(name) for name in given]
    names = [name.strip() for name in names]
    if isinstance(given, str | os.PathLike) and _is_of_a_program(names):
        raise UsageError(
            f"the classes look like a dict or a list of a program: {first_names(names)}; their names alone, "
            "in the order of the net's outputs, are wanted.",
            remedy=_REMEDY,
        )
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    wrong = "an empty one" if not all(names) else f"{twice[0]!r} twice" if twice else None
    if wrong or len(names) < 2:
        raise UsageError(
            f"the classes are the names of the net's outputs, in their order; {len(names)} were given"
            f"{f', {wrong} among them' if wrong else ''}.",
            remedy=_REMEDY,
        )
    return tuple(names)


def with_classes(
    dataset: DatasetSpec, names: tuple[str, ...] | None, data_root: Path | None
) -> tuple[DatasetSpec, tuple[str, ...] | None]:
    """The data set with its classes filled in, and the names of the net's outputs in their order.

    Args:
        dataset: what the net was trained on.
        names: given by the user; None for those of the folders below ``data_root``, sorted.
        data_root: a folder of class folders; None where the names are given, or not known yet.

    Raises:
        DataError: there are no class folders with images.
        UsageError: the data set has classes of its own, or the folders are not those that were given.
    """
    if dataset.class_names is not None:
        if names is not None or data_root is not None:
            what = "names of classes" if names is not None else "class folders"
            raise UsageError(
                f"the {counted(len(dataset.class_names), 'class')} of {dataset.kind} "
                f"{are(len(dataset.class_names))} known; {what} are for a data set of one's own.",
                remedy=Remedy("dataset", "imagefolder"),
            )
        return dataset, dataset.class_names
    if data_root is not None:
        found = _in_folders(dataset, data_root)
        if names is not None and set(names) != set(found):
            raise UsageError(
                f"{counted(len(names), 'class')} {'was' if len(names) == 1 else 'were'} given "
                f"({first_names(names)}), and {data_root} has {len(found)} ({first_names(found)})."
            )
        names = names or found
    if names is None:
        return dataset, None
    # A folder is read in the order of its sorted names, whatever the order of the outputs.
    fills = "classes" in type(dataset).model_fields
    return (dataset.model_copy(update={"classes": tuple(sorted(names))}) if fills else dataset), names


def named_in_file(value: object, num_outputs: int | None = None) -> tuple[str, ...] | None:
    """The names of the classes that a training program kept beside the weights, in their order.

    The outermost ones, where there are several.

    Args:
        value: what the file holds.
        num_outputs: of the net; None where nobody knows.

    Example:
        >>> named_in_file({"names": {0: "bee", 1: "ant"}}, 2)
        ('bee', 'ant')
    """
    seen: set[int] = set()
    level = [value]
    for _ in range(_MOST_DEPTH + 1):
        inner: list[object] = []
        for one in level:
            if not isinstance(one, Mapping) or id(one) in seen:  # a pickled dict may contain itself
                continue
            seen.add(id(one))
            by_key = {key.lower(): entry for key, entry in one.items() if isinstance(key, str)}
            for key in _KEYS:
                if names := _names(by_key.get(key)):
                    return names
            for key in _DOUBTFUL_KEYS:
                if (names := _names(by_key.get(key))) and len(names) == num_outputs:
                    return names
            inner += [entry for entry in one.values() if isinstance(entry, Mapping) and id(entry) not in seen]
        level = inner
    return None


def require_order(in_file: tuple[str, ...] | None, in_folders: tuple[str, ...] | None, weights: Path) -> None:
    """Refuse folders whose order is not the one in which the net was trained, as far as its file says."""
    if in_file is None or in_folders is None or in_file == in_folders or set(in_file) != set(in_folders):
        return
    place = next(n for n, (one, other) in enumerate(zip(in_file, in_folders, strict=True)) if one != other)
    raise UsageError(
        f"{weights} has the classes in another order than the sorted folders: its output {place} is "
        f"{in_file[place]!r}, not {in_folders[place]!r}.",
        remedy=Remedy("classes", ",".join(in_file))
        if all("," not in name and readable(name) == name for name in in_file)
        else Remedy("classes", "FILE", "a text file with a name on each line, in that order"),
    )


def other_names(in_file: tuple[str, ...], given: tuple[str, ...], weights: Path) -> str:
    """What is said where a file has its classes otherwise than somebody gave them."""
    if set(in_file) != set(given):
        return f"{weights} has other classes for its outputs: {first_names(in_file, _NAMED)}."
    return (
        f"{weights} has these classes in another order, and the given one is taken; as given: "
        f"{first_names(given, _NAMED)}; in the file: {first_names(in_file, _NAMED)}."
    )


def _in_folders(dataset: DatasetSpec, data_root: Path) -> tuple[str, ...]:
    if isinstance(dataset, ImageFolderSpec):  # its images need not be such as a net could be trained on
        found = folder_classes(data_root, dataset.wanted)
        if not found:
            raise DataError(
                f"{data_root} has no image in a class folder, so that it names no class.",
                remedy=_REMEDY[:1],
                page="folder-layout-not-understood",
            )
        return found
    return dataset.resolved(data_root).class_names or ()


_REMEDY = (
    Remedy("classes", "NAME,NAME,...", "or a text file with a name on each line"),
    Remedy("data_root", "DIR", "in place of the names: its class folders, sorted by name"),
)


def _names(entry: object) -> tuple[str, ...] | None:
    """The names of an entry: a list of them, or a dict from names to numbers or from numbers to names."""
    if isinstance(entry, Mapping) and entry and all(isinstance(name, str) for name in entry.values()):
        numbers = {int(str(key)) if str(key).isdecimal() else -1: name for key, name in entry.items()}
        entry = {name: number for number, name in numbers.items()}
    if isinstance(entry, Mapping) and all(isinstance(number, int) for number in entry.values()):
        by_number = {number: name for name, number in entry.items()}
        if sorted(by_number) != list(range(len(entry))):
            return None
        entry = [by_number[number] for number in range(len(entry))]
    if not isinstance(entry, list | tuple) or not all(isinstance(name, str) and name for name in entry):
        return None
    return tuple(entry) if len(set(entry)) == len(entry) > 1 else None


def _is_of_a_program(names: list[str]) -> bool:
    """Whether a bracket opens before the first name and closes behind the last one alone."""
    if len(names) < 2:
        return False
    pairs = [pair for pair in _BRACKETS if names[0].startswith(pair[0]) and names[-1].endswith(pair[1])]
    return any(closing not in names[0] and opening not in names[-1] for opening, closing in pairs)


def _lines_of(path: Path) -> list[str]:
    try:
        return [
            line for line in read_file(path, most=64 << 20).decode("utf-8-sig").splitlines() if line.strip()
        ]
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{str(path)!r} is one name, and no text file with a name on each line either; a net with a "
            "single output is no classifier here.",
            remedy=_REMEDY,
        ) from error
