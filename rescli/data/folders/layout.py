"""Which folder holds which split, and whether its classes are folders or stand in a table.

ROOT/train/CLASS/*.jpg, and val and test beside it    any of the three, in any usual spelling
ROOT/CLASS/*.jpg                                     one split, ``all``
ROOT/val/*.jpg and a table in ROOT/val or ROOT       in a form of rescli.data.folders.labels; also of train,
                                                     test and ROOT itself
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rescli.data.folders.labels import (
    FROM_NAMES,
    Labels,
    find_labels_file,
    labels_from_names,
    read_labels_file,
)
from rescli.data.folders.names import ALL, TRAIN_VAL_TEST, is_junk, named_split
from rescli.data.folders.refusals import (
    alike_in_two_splits,
    check_folder,
    named_folder,
    named_without_classes,
    no_class_folders,
    no_class_folders_in,
    refused,
    several_folders,
    splits_without_classes,
    unlabelled,
)
from rescli.data.folders.walk import Detection, LeftOut, first_below, images_below, subfolders
from rescli.errors import DataError

__all__ = ["FolderOptions", "Layout", "Part", "find_layout", "is_runs_folder"]

_TABLES = ("annotations", "labels", "metadata")
"""Folders beside the images in which their labels may be."""


@dataclass(frozen=True)
class FolderOptions:
    """What somebody said of a folder of photographs; by default nothing.

    Attributes:
        labels: ``names``, or a file of labels relative to the root, ``FILE`` or ``FILE:COLUMN``.
        folders: split to its folder, relative to the root.
        exclude: class folders that are left out.
        by: how photographs are told from other files; ``suffix`` also takes the splits by their exact names
            alone, and any folder for a class, as runs without the key ``data.dataset.images_by`` did.
    """

    labels: str | None = None
    folders: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    by: Detection = "content"


@dataclass(frozen=True)
class Part:
    """One split.

    Attributes:
        split: train, val, test or all.
        place: the folder that names of images are relative to.
        labels: of each image; None where class folders say it.
        deep: whether images in folders below are labelled too.
        without: names of folders in it that are other splits, and no classes.
        among_runs: whether runs may lie in it, which are no classes.
    """

    split: str
    place: Path
    labels: Labels | None = None
    deep: bool = False
    without: tuple[str, ...] = ()
    among_runs: bool = False


@dataclass(frozen=True)
class Layout:
    """How a folder of photographs is laid out.

    Attributes:
        parts: split to where it is; at least one.
        unlabelled: a test folder whose images have no labels.
        unused: names of folders beside the splits that belong to none.
    """

    root: Path
    wanted: FolderOptions
    parts: Mapping[str, Part]
    unlabelled: Path | None = None
    unused: tuple[str, ...] = ()


def find_layout(root: Path, wanted: FolderOptions) -> Layout:
    """Look at folders and tables; no image is opened.

    Raises:
        DataError: no such folder, images that have no class, or nothing that could be a split.
    """
    check_folder(root)
    try:
        return _by_suffix(root, wanted) if wanted.by == "suffix" else _by_content(root, wanted)
    except OSError as error:
        where = f" ({error.filename})" if error.filename not in (None, str(root)) else ""
        raise DataError(f"{root} cannot be read: {error.strerror or error}{where}.") from error


def is_runs_folder(folder: Path) -> bool:
    """Whether run directories lie in it, such as ``runs`` that training makes in the working directory."""
    try:
        with os.scandir(folder) as entries:
            # A folder of photographs may hold a million of them; one of runs holds hardly anything else.
            first = islice(entries, 50)
            return any(entry.is_dir() and (Path(entry.path) / "spec.toml").is_file() for entry in first)
    except OSError:
        return False


def _by_suffix(root: Path, wanted: FolderOptions) -> Layout:
    there = [split for split in TRAIN_VAL_TEST if (root / split).is_dir()]
    # A class may be called train: its folder has images in it, a split's has class folders.
    with_classes = [split for split in there if subfolders(root / split)]
    if flat := [split for split in there if split not in with_classes and split != "test" and with_classes]:
        raise no_class_folders_in(root, with_classes, flat)
    if with_classes:
        return Layout(root, wanted, {split: Part(split, root / split) for split in with_classes})
    if subfolders(root):
        return Layout(root, wanted, {ALL: Part(ALL, root)})
    raise no_class_folders(root)


def _by_content(root: Path, wanted: FolderOptions) -> Layout:
    folders = [name for name in _class_folders(root, wanted) if not is_runs_folder(root / name)]
    place_of = _split_folders(root, folders, wanted)
    own_of = {
        split: [
            name
            for name in _class_folders(place, wanted)
            if name not in first_below(place, place_of.values())
        ]
        for split, place in place_of.items()
    }
    with_classes = {split: place for split, place in place_of.items() if own_of[split]}
    parts = {
        split: Part(split, place, without=first_below(place, place_of.values()), among_runs=place == root)
        for split, place in with_classes.items()
    }
    unlabelled = None
    classes = own_of.get("train", [])
    for split in sorted(place_of, key=TRAIN_VAL_TEST.index):
        place = place_of[split]
        own = own_of[split]
        if split in parts and (split == "train" or not classes or {*classes} & {*own}):
            continue
        # No class folders, or none of train's: labels may lie beside the images.
        labels = _labels(root, place, split, wanted, classes)
        if labels is not None and (other := _labelled_alike(labels, parts)) is not None:
            if split != "test":
                raise alike_in_two_splits(root, labels, other, split, place)
            labels = None
        if labels is not None:
            at = place if _flat_images(place) else place / own[0]
            parts[split] = Part(split, at, labels)
            classes = classes or sorted(set(labels.by_name.values()))
        elif split == "test":
            unlabelled = place
            parts.pop(split, None)
    if parts:
        flat = [split for split in place_of if split not in parts and split != "test"]
        if flat:
            raise no_class_folders_in(root, list(parts), flat)
        used = folders if root in place_of.values() else first_below(root, place_of.values())
        unused = tuple(name for name in folders if name not in used and _holds_images(root / name))
        ordered = {split: parts[split] for split in TRAIN_VAL_TEST if split in parts}
        return Layout(root, wanted, ordered, unlabelled, unused)
    if named := [split for split in place_of if split in wanted.folders]:
        raise named_without_classes(root, {split: place_of[split] for split in named})
    return _one_split(root, folders, wanted)


def _one_split(root: Path, folders: list[str], wanted: FolderOptions) -> Layout:
    """No folder is a split with classes: all images are one split, by class folders or by a table."""
    if wanted.labels is not None:
        flat = [place for place in (root, *(root / name for name in folders)) if _flat_images(place)]
        if not flat:
            raise refused(
                f"{root} holds no images to label.", hint="name the folder that holds them as the data root"
            )
        # Parts of a download, one beside the other, are one folder.
        place, deep = (flat[0], False) if len(flat) == 1 else (root, True)
        images = sorted(images_below(place, LeftOut(), by=wanted.by, deep=deep))
        labels = _labels_of(root, place, images, ALL, wanted, [])
        assert labels is not None, "it was asked for by name"
        return Layout(root, wanted, {ALL: Part(ALL, place, labels, deep)})
    if (_flat_images(root) and not folders) or (len(folders) == 1 and _flat_images(root / folders[0])):
        place = root / folders[0] if folders else root
        labels = find_labels_file(
            _flat_images(place), _places(root, place), place=place, root=root, split=ALL
        )
        if labels is not None:
            return Layout(root, wanted, {ALL: Part(ALL, place, labels)})
    named = [name for name in folders if named_split(name) and folders != ["invalid", "valid"]]
    if named and _flat_images(root / named[0]):
        best = next((name for name in named if named_split(name) == "train"), named[0])
        images = _flat_images(root / best)
        raise splits_without_classes(root, named, images, others=len(folders) - len(named))
    if folders:
        return Layout(root, wanted, {ALL: Part(ALL, root)})
    if images := _flat_images(root):
        raise unlabelled(root, images)
    raise no_class_folders(root)


def _split_folders(root: Path, folders: list[str], wanted: FolderOptions) -> dict[str, Path]:
    """Split to the folder that is it, by what somebody said, else by its name."""
    found: dict[str, Path] = {}
    for split, name in wanted.folders.items():
        found[split] = named_folder(root, split, name, folders)
    for split, place in found.items():
        if twin := next((other for other in found if other != split and found[other] == place), None):
            raise refused(f"{split} and {twin} cannot both be the folder {place.relative_to(root)}.")
    taken = first_below(root, found.values())
    spelled: dict[str, list[str]] = {}
    for name in folders:
        meant = named_split(name)
        free = name not in taken or meant == "train"  # its val may be a folder in it
        if meant is not None and meant not in found and free and name not in wanted.exclude:
            spelled.setdefault(meant, []).append(name)
    for split, names in spelled.items():
        full = [name for name in names if _class_folders(root / name, wanted) or _flat_images(root / name)]
        if len(full) > 1:
            raise several_folders(root, split, full)
        if full and root / full[0] not in found.values():
            found[split] = root / full[0]
    return found


def _labels(root: Path, place: Path, split: str, wanted: FolderOptions, classes: list[str]) -> Labels | None:
    images = _flat_images(place)
    nested = _class_folders(place, wanted)
    if not images and len(nested) == 1:  # Tiny-ImageNet's val/images
        place = place / nested[0]
        images = _flat_images(place)
    if not images:
        return None
    try:
        found = _labels_of(root, place, images, split, wanted, classes)
    except DataError:
        if split == "test":  # a form to fill in, as contests have it
            return None
        raise
    return None if split == "test" and found is not None and not found.by_name else found


def _labels_of(
    root: Path, place: Path, images: list[str], split: str, wanted: FolderOptions, classes: list[str]
) -> Labels | None:
    if wanted.labels == FROM_NAMES:
        return labels_from_names(images)
    if wanted.labels is not None:
        name, _, column = wanted.labels.partition(":")
        return read_labels_file(root / name, column or None, images, place=place, root=root)
    return find_labels_file(
        images, _places(root, place), place=place, root=root, split=split, known_classes=classes
    )


def _labelled_alike(labels: Labels, parts: Mapping[str, Part]) -> str | None:
    """The split some of whose images the same rows of one table label, for they have the same names."""
    for split, part in parts.items():
        other = part.labels
        if other is not None and labels.table == other.table and not labels.used.isdisjoint(other.used):
            return split
    return None


def _places(root: Path, place: Path) -> list[Path]:
    within = [place, *(folder for folder in place.parents if folder == root or root in folder.parents)]
    return [*within, *(root / name for name in _TABLES)]


def _class_folders(place: Path, wanted: FolderOptions) -> list[str]:
    return [name for name in subfolders(place) if not is_junk(name) and name not in wanted.exclude]


def _flat_images(place: Path) -> list[str]:
    return sorted(images_below(place, LeftOut(), by="content", deep=False))


def _holds_images(place: Path) -> bool:
    return any(True for _ in images_below(place, LeftOut(), by="content"))
