"""Folders of class folders, flat or with splits, as torchvision's ImageFolder and ILSVRC have them.

ROOT/train/CLASS/*.jpg, ROOT/val/CLASS/*.jpg, ROOT/test/CLASS/*.jpg     any of the three
ROOT/CLASS/*.jpg                                                       one split, ``all``
ROOT/packed.json                                                       any of them, by ``rescli data pack``

Images may lie in folders below their class's. Names that begin with a dot are left out, and so are links to
folders below a class's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.packed import is_packed, packed_counts, read_packed
from rescli.data.photos.prefetch import map_ahead
from rescli.errors import DataError
from rescli.remedy import Remedy

__all__ = [
    "ALL",
    "SUFFIXES",
    "count_folder",
    "folder_splits",
    "image_fingerprint",
    "other_files",
    "read_folder",
]

ALL = "all"
"""The one split of a folder without ``train``, ``val`` and ``test``."""

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

_SPLITS = ("train", "val", "test")
_HASH_THREADS = 8
_NAMED = 3


def folder_splits(root: Path) -> tuple[str, ...]:
    """Which splits a folder has: some of train, val, test, or ``all``.

    A ``test`` without class folders is none: test images are often given without labels, as ILSVRC's are.

    Raises:
        DataError: no such folder, no class folders in it, or in one of train and val only.
    """
    if is_packed(root):
        return tuple(packed_counts(root)[1])
    try:
        if not os.path.isdir(root):  # pathlib raises where a path is too long
            what = "not a folder" if os.path.exists(root) else "no such folder"
            raise DataError(f"{what}: {root}", hint="name the folder of class folders")
        found = tuple(split for split in _SPLITS if (root / split).is_dir())
        # A class may be called train: its folder has images in it, a split's has class folders.
        with_classes = tuple(split for split in found if _subfolders(root / split))
        flat = [split for split in found if split not in with_classes and split != "test"]
        if with_classes and flat:
            raise DataError(
                f"{root} has class folders in {', '.join(with_classes)} but none in {', '.join(flat)}.",
                hint="put each image into the folder of its class",
            )
        if with_classes:
            return with_classes
        if _subfolders(root):
            return (ALL,)
    except OSError as error:
        raise _unreadable(root, error) from error
    raise DataError(
        f"{root} has no class folders.",
        hint="it should hold train/CLASS/*.jpg and val/CLASS/*.jpg, or CLASS/*.jpg",
    )


def read_folder(
    root: Path, splits: Iterable[str], *, class_names: tuple[str, ...] | None = None
) -> dict[str, ImageFiles]:
    """List, count and hash the images of the named splits; decodes none.

    Classes are the sorted names of the class folders of every split together. Every byte of the named
    splits is read once for their fingerprint.

    Args:
        class_names: what the classes must be; None for those that are found.

    Raises:
        DataError: no such folder or split, a split without images, or other classes than ``class_names``.
    """
    there = folder_splits(root)
    found: dict[str, ImageFiles] = {}
    if is_packed(root):
        return _of_pack(root, tuple(splits), class_names)
    try:
        classes = sorted({name for split in there for name in _subfolders(_place(root, split))})
        if class_names is not None and tuple(classes) != class_names:
            raise DataError(
                _other_classes(root, classes, class_names),
                hint="a folder of some of the classes is an imagefolder",
                remedy=[Remedy("dataset", "imagefolder"), Remedy("classes", "wnids")],
            )
        for split in splits:
            if split not in there:
                raise DataError(f"{root} has no split {split!r}; it has {', '.join(there)}.")
            found[split] = _read_split(root, split, tuple(classes))
    except OSError as error:
        raise _unreadable(root, error) from error
    return found


def count_folder(root: Path) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes, and how many images each split has; nothing is opened.

    Raises:
        DataError: no such folder, or no class folders in it.
    """
    if is_packed(root):
        return packed_counts(root)
    there = folder_splits(root)
    try:
        classes = sorted({name for split in there for name in _subfolders(_place(root, split))})
        counts = {
            split: sum(
                is_image for name in classes for _, is_image in _walk(_place(root, split) / name, prefix=name)
            )
            for split in there
        }
    except OSError as error:
        raise _unreadable(root, error) from error
    return tuple(classes), counts


def other_files(files: ImageFiles) -> Iterator[str]:
    """Names, relative to ``files.root``, of what lies in the class folders and is no image by its suffix.

    Raises:
        DataError: a folder cannot be read.
    """
    try:
        for class_name in files.class_names:
            below = _walk(files.root / class_name, prefix=class_name)
            yield from sorted(name for name, is_image in below if not is_image)
    except OSError as error:
        raise _unreadable(files.root, error) from error


def image_fingerprint(
    place: Path, names: list[str], labels: list[int], *, called: list[str] | None = None
) -> str:
    """sha256 of names, labels and contents; a digest per file, so that files are read in parallel.

    Args:
        called: what to hash for the names, where the same images would be called otherwise elsewhere.

    Raises:
        DataError: files that cannot be read, their number and the first few of them.
    """

    def digest(name: str) -> bytes | OSError:
        try:
            with open(place / name, "rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            return error

    whole = hashlib.sha256()
    unreadable = 0
    first: list[str] = []
    contents = map_ahead(digest, names, threads=_HASH_THREADS)
    for name, file, label, content in zip(called or names, names, labels, contents, strict=True):
        if isinstance(content, OSError):
            unreadable += 1
            if len(first) < _NAMED:
                first.append(f"{file} ({content.strerror or content})")
            continue
        whole.update(f"{name}\0{label}\0".encode("utf-8", "surrogateescape"))
        whole.update(content)
    if unreadable:
        raise DataError(
            f"{unreadable} of the {len(names)} image files in {place} cannot be read: "
            f"{', '.join(first)}{', ...' if unreadable > len(first) else ''}",
            hint="links that lead nowhere, or files that may not be read? Mend or remove them",
        )
    return whole.hexdigest()


def _read_split(root: Path, split: str, classes: tuple[str, ...]) -> ImageFiles:
    place = _place(root, split)
    names, labels = [], []
    for label, class_name in enumerate(classes):
        in_class = sorted(name for name, is_image in _walk(place / class_name, prefix=class_name) if is_image)
        names += in_class
        labels += [label] * len(in_class)
    if not names:
        raise DataError(
            f"{place} has no image in its class folders ({len(classes)}).",
            hint=f"images end in {' '.join(SUFFIXES)}",
        )
    return ImageFiles(
        root=place,
        file_names=tuple(names),
        labels_N=torch.tensor(labels, dtype=torch.int64),
        class_names=classes,
        fingerprint=image_fingerprint(place, names, labels),
    )


def _of_pack(root: Path, splits: tuple[str, ...], expected: tuple[str, ...] | None) -> dict[str, ImageFiles]:
    classes, counts = packed_counts(root)
    if expected not in (None, classes):
        raise DataError(_other_classes(root, list(classes), expected or ()))
    if absent := [split for split in splits if split not in counts]:
        raise DataError(f"{root} has no split {absent[0]!r}; it has {', '.join(counts)}.")
    return {split: read_packed(root, split, classes) for split in splits}


def _place(root: Path, split: str) -> Path:
    return root if split == ALL else root / split


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]


def _walk(folder: Path, *, prefix: str) -> Iterator[tuple[str, bool]]:
    """Each file in the folder and its subfolders, and whether its suffix is an image's."""
    if not folder.is_dir():  # a class of another split
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}/{entry.name}"
            if entry.name.startswith("."):
                continue
            # Links to folders are not followed: they may lead in a circle.
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), prefix=name)
            else:
                # A pipe or a socket by an image's name would be read for ever; a link that leads nowhere is
                # reported when it is read.
                readable = entry.is_file() or entry.is_symlink()
                yield name, readable and entry.name.lower().endswith(SUFFIXES)


def _unreadable(root: Path, error: OSError) -> DataError:
    where = f" ({error.filename})" if error.filename not in (None, str(root)) else ""
    return DataError(f"{root} cannot be read: {error.strerror or error}{where}.")


def _other_classes(root: Path, found: list[str], expected: tuple[str, ...]) -> str:
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    parts = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unknown", extra))
        if names
    ]
    return f"{root} does not have the {len(expected)} class folders it should have: {', '.join(parts)}."
