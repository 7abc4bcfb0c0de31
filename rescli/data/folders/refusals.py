"""Why a folder is laid out in no way that anybody could train on, and the ways out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rescli.data.folders.labels import FROM_NAMES, Labels, labels_from_names, tables_in
from rescli.data.folders.names import ALL, is_archive, named_split
from rescli.data.folders.table import ImageNames, read_rows
from rescli.data.folders.walk import dead_links
from rescli.errors import DataError, first_names
from rescli.foreign_text import readable
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = [
    "alike_in_two_splits",
    "check_folder",
    "named_folder",
    "named_without_classes",
    "no_class_folders",
    "no_class_folders_in",
    "refused",
    "several_folders",
    "splits_without_classes",
    "unlabelled",
]

refused = partial(DataError, page="folder-layout-not-understood")
"""The error of a folder whose layout is not understood."""

_BY_TABLE = Remedy("data.dataset.labels", "FILE", "a table of file names and classes")
_LABELLED_OTHERWISE = (
    _BY_TABLE,
    Remedy("data.dataset.labels", FROM_NAMES, "for files called CLASS_12.jpg"),
)
"""Where labels may be that are no class folders."""


def check_folder(root: Path) -> None:
    """Do nothing where there is such a folder.

    Raises:
        DataError: there is none.
    """
    if os.path.isdir(root):  # pathlib raises where a path is too long
        return
    if os.path.isfile(root) and is_archive(root.name):
        raise refused(f"{root} is an archive.", hint="unpack it, and name the folder that it was unpacked to")
    what = "not a folder" if os.path.exists(root) else "no such folder"
    raise DataError(
        f"{what}: {root}", hint="name the folder of class folders", page="no-images-where-they-are-looked-for"
    )


def named_folder(root: Path, split: str, name: str, folders: list[str]) -> Path:
    """The folder that somebody named for a split.

    Raises:
        DataError: it is none below the root.
    """
    # Not resolved: a split may be a link to somewhere else.
    place, base = Path(os.path.normpath(root.absolute() / name)), Path(os.path.normpath(root.absolute()))
    if split == "train" and place == base:  # the class folders lie in the root itself
        return root
    if base not in place.parents:
        raise refused(f"the folder {name!r} for {split} is not one below {root}.")
    if not place.is_dir():
        raise refused(f"{root} has no folder {name!r}; it has {', '.join(folders) or 'none'}.")
    return root / place.relative_to(base)


def named_without_classes(root: Path, places: Mapping[str, Path]) -> DataError:
    """Somebody named folders for splits, and they have no class folders."""
    names = ", ".join(
        f"{readable(str(place.relative_to(root)))} for {split}" for split, place in places.items()
    )
    return refused(
        f"{root}: the folder {names} has no class folders and no table of labels: put each image into the "
        "folder of its class.",
        remedy=_LABELLED_OTHERWISE,
    )


def several_folders(root: Path, split: str, names: list[str]) -> DataError:
    """More than one folder is called as a split is."""
    remedies = {
        "train": [Remedy("data.dataset.train_folder", name) for name in names],
        "val": [Remedy("data.dataset.val_folder", name) for name in names],
        "test": [Remedy("data.dataset.test_folder", name) for name in names],
    }
    return refused(
        f"{root} has {counted(len(names), 'folder')} that could be {split}: {', '.join(names)}.",
        remedy=remedies[split],
    )


def splits_without_classes(root: Path, names: list[str], images: list[str], *, others: int) -> DataError:
    """Folders are called as splits are, and hold images without a class.

    Args:
        root: the folder.
        names: those that are called as splits are.
        images: names of those in one of them.
        others: how many other folders lie beside them, which may be the classes.
    """
    # What is no train is nothing to train on, whoever labels it.
    by_names = (
        _by_names(images) if not others or any(named_split(name) == "train" for name in names) else None
    )
    if others > 1 or (others and by_names is None):
        ways = [Remedy("data.dataset.exclude", (*names,), "to leave them out")]
    else:
        ways = [_BY_TABLE]
    if by_names is not None:
        ways.insert(0, by_names)
    return refused(
        f"{root} has images without classes in {', '.join(names)}: a split holds class folders, or has a "
        "table of labels beside it. Where they are classes, put them into a folder train.",
        remedy=ways,
    )


def _by_names(images: list[str]) -> Remedy | None:
    """The remedy of files that are called by their class; None where they are not."""
    labels = labels_from_names(images)
    classes = sorted(set(labels.by_name.values()))
    if labels.without or len(classes) < 2:
        return None
    names = f"{', '.join(classes[:3])}{', ...' if len(classes) > 3 else ''}"
    return Remedy("data.dataset.labels", FROM_NAMES, f"{counted(len(classes), 'class')}: {names}")


def alike_in_two_splits(root: Path, labels: Labels, other: str, split: str, place: Path) -> DataError:
    """Rows of a table could mean an image of either of two splits.

    Args:
        root: the folder.
        labels: of the images of ``split`` in the folder ``place``.
        other: the split that the same rows label.
    """
    folder, name = place.relative_to(root), readable(next(iter(labels.by_name), "1.jpg"))
    return refused(
        f"{readable(labels.table)} names images of {other} and of {split} alike, such as {name}: which of "
        "the two it labels, nobody can say.",
        hint=f"write the folder before the name, {readable(str(folder / name))}; or to leave "
        f"{readable(folder.parts[0])} out",
        remedy=Remedy("data.dataset.exclude", (folder.parts[0],)),
    )


def no_class_folders_in(root: Path, with_classes: list[str], flat: list[str]) -> DataError:
    """Some splits have class folders and others have none."""
    return refused(
        f"{root} has class folders in {', '.join(with_classes)} but none in {', '.join(flat)}: "
        "put each image into the folder of its class.",
        remedy=_LABELLED_OTHERWISE,
    )


def unlabelled(root: Path, images: list[str]) -> DataError:
    """All images lie in one folder, and no table beside them names half of them."""
    remedies = [_BY_TABLE]
    if by_names := _by_names(images):
        remedies.insert(0, by_names)
    said, names = "", ImageNames(images, root, root)
    for path in tables_in([root], ALL)[:3]:
        named = len({names.find(cell) for row in read_rows(path) for cell in row} - {None})
        said += f" {readable(path.name)} names {named or 'none'} of them."
        if named:
            remedies.insert(0, Remedy("data.dataset.labels", path.name, "for those that it names"))
    return refused(
        f"{root} has no class folders: {counted(len(images), 'image')} "
        f"{'lies' if len(images) == 1 else 'lie'} in it.{said} Put each into one of its class.",
        remedy=remedies,
    )


def no_class_folders(root: Path) -> DataError:
    """There is nothing to train on."""
    with os.scandir(root) as entries:
        archives = sorted(entry.name for entry in entries if is_archive(entry.name))
    if dead := dead_links(root):
        return refused(
            f"{root} has no class folders, but links to places that are not there: {first_names(dead)}.",
            hint="mount the disk, or mend the links",
        )
    if archives:
        return refused(f"{root} has no class folders.", hint=f"unpack {', '.join(archives[:3])} first")
    return refused(
        f"{root} has no class folders.",
        hint="it should hold train/CLASS/*.jpg and val/CLASS/*.jpg, or CLASS/*.jpg",
    )
