"""The images of a folder as ``ImageFiles``: listed, counted and hashed, none decoded."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch

from rescli.data.folders.layout import FolderOptions, find_layout
from rescli.data.folders.listing import Listing, list_part, training_classes
from rescli.data.folders.names import PLUGIN_SUFFIXES, SUFFIXES
from rescli.data.folders.walk import LeftOut, images_below
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.pack_index import PACK_AGAIN, is_packed, packed_counts
from rescli.data.photos.packed import read_packed
from rescli.data.photos.prefetch import map_quick
from rescli.errors import DataError
from rescli.files import open_file
from rescli.foreign_text import readable
from rescli.plurals import counted, plural
from rescli.remedy import Remedy

__all__ = [
    "folder_classes",
    "folder_counts",
    "folder_splits",
    "image_fingerprint",
    "other_files",
    "read_folder",
]

_NOTHING_SAID = FolderOptions()
_HASH_THREADS = 8
_NAMED = 3


def folder_splits(root: Path, wanted: FolderOptions = _NOTHING_SAID) -> tuple[str, ...]:
    """Which splits a folder has: some of train, val, test, or ``all``.

    A ``test`` without labels is none: test images are often given without, as ILSVRC's are.

    Raises:
        DataError: no such folder, or its images have no classes.
    """
    if is_packed(root):
        return tuple(packed_counts(root)[1])
    return tuple(find_layout(root, wanted).parts)


def folder_classes(root: Path, wanted: FolderOptions = _NOTHING_SAID) -> tuple[str, ...]:
    """The classes that a net trained on the folder would have; nothing is opened.

    Raises:
        DataError: no such folder, or its images have no classes.
    """
    if is_packed(root):
        return packed_counts(root)[0]
    listings = {split: list_part(part, wanted) for split, part in find_layout(root, wanted).parts.items()}
    if wanted.by == "suffix":
        return tuple(sorted({name for listing in listings.values() for name in listing.images}))
    return training_classes(listings)


def folder_counts(root: Path, wanted: FolderOptions = _NOTHING_SAID) -> dict[str, int]:
    """How many images each split has; nothing is opened.

    Raises:
        DataError: no such folder, or its images have no classes.
    """
    if is_packed(root):
        return packed_counts(root)[1]
    parts = find_layout(root, wanted).parts
    return {split: list_part(part, wanted).num_images for split, part in parts.items()}


def read_folder(
    root: Path,
    splits: Iterable[str],
    *,
    class_names: tuple[str, ...] | None = None,
    wanted: FolderOptions = _NOTHING_SAID,
    hashed: bool = True,
) -> dict[str, ImageFiles]:
    """List, count and hash the images of the named splits; decodes none.

    Every byte of the named splits is read once for their fingerprint.

    Args:
        class_names: what the classes must be, in this order; None for those that have images in any split.
        wanted: what somebody said of the folder.
        hashed: read every file for the fingerprints; else those mean nothing.

    Raises:
        DataError: no such folder or split, a split without images, or other classes than ``class_names``.
    """
    if is_packed(root):
        return _of_pack(root, tuple(splits), class_names)
    layout = find_layout(root, wanted)
    asked = tuple(splits)
    for split in asked:
        if split not in layout.parts:
            raise DataError(
                f"{root} has no split {split!r}; it has {', '.join(layout.parts)}.",
                page="folder-layout-not-understood",
            )
    listings = {split: list_part(part, wanted) for split, part in layout.parts.items()}
    classes = _classes(root, listings, asked, class_names, wanted)
    return {split: _read_split(listings[split], classes, hashed) for split in asked}


def image_fingerprint(
    place: Path, names: Sequence[str], labels: Sequence[int], *, called: Sequence[str] | None = None
) -> str:
    """sha256 of names, labels and contents; a digest per file, so that files are read in parallel.

    Args:
        called: what to hash for the names, where the same images would be called otherwise elsewhere.

    Raises:
        DataError: files that cannot be read, their number and the first few of them.
    """
    whole = hashlib.sha256()
    unreadable = 0
    first: list[str] = []
    contents = _digests(place, names)
    for name, file, label, content in zip(called or names, names, labels, contents, strict=True):
        if isinstance(content, OSError):
            unreadable += 1
            if len(first) < _NAMED:
                first.append(f"{readable(file)} ({content.strerror or content})")
            continue
        whole.update(f"{name}\0{label}\0".encode("utf-8", "surrogateescape"))
        whole.update(content)
    if unreadable:
        raise DataError(
            f"{unreadable} of the {len(names):,} {plural('image file')} in {place} cannot be read: "
            f"{', '.join(first)}{', ...' if unreadable > len(first) else ''}",
            hint="links that lead nowhere, or files that may not be read? Mend or remove them",
        )
    return whole.hexdigest()


def other_files(files: ImageFiles) -> LeftOut:
    """What lies in the class folders of a split and is no image.

    Raises:
        DataError: a folder cannot be read.
    """
    found = LeftOut()
    try:
        for class_name in files.class_names:
            for _ in images_below(files.root / class_name, found, by="content", prefix=f"{class_name}/"):
                pass
    except OSError as error:
        raise DataError(f"{files.root} cannot be read: {error.strerror or error}.") from error
    return found


def _digests(place: Path, names: Sequence[str]) -> Iterator[bytes | OSError]:
    folder = os.fspath(place)

    def digest(name: str) -> bytes | OSError:
        try:
            with open_file(f"{folder}/{name}") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            return error

    return map_quick(digest, names, threads=_HASH_THREADS)


def _classes(
    root: Path,
    listings: dict[str, Listing],
    asked: tuple[str, ...],
    expected: tuple[str, ...] | None,
    wanted: FolderOptions,
) -> tuple[str, ...]:
    folders = {name for listing in listings.values() for name in listing.images}
    if wanted.by == "suffix":
        found = folders
    else:
        found = {name for listing in listings.values() for name in listing.classes}
    if expected is None:
        return tuple(sorted(found))
    filled = {name for split in asked for name in listings[split].classes}
    # A class may be empty, and folders of other splits may hold what no net was trained on.
    if not filled <= {*expected} or not {*expected} <= folders:
        of_imagenet = all(re.fullmatch(r"n\d{8}", name) for name in expected)
        raise DataError(
            _other_classes(root, sorted(filled | ({*expected} & folders)), expected),
            hint="a folder of some of the classes is an imagefolder" if of_imagenet else None,
            remedy=Remedy("dataset", "imagefolder", also={"classes": "wnids"})
            if of_imagenet
            else Remedy("tidy", root, "makes a folder without those that train lacks"),
            page="the-classes-are-others",
        )
    return expected


def _read_split(listing: Listing, classes: tuple[str, ...], hashed: bool) -> ImageFiles:
    place = listing.part.place
    names: list[str] = []
    called: list[str] = []
    labels: list[int] = []
    for label, class_name in enumerate(classes):
        in_class = listing.images.get(class_name, ())
        names += in_class
        labels += [label] * len(in_class)
        if listing.part.labels is not None:
            called += [f"{class_name}/{name}" for name in in_class]
    if not names:
        raise DataError(
            f"{place} has no image in its class folders ({len(classes)}).",
            hint=f"images end in {' '.join((*SUFFIXES, *PLUGIN_SUFFIXES))}, or are such by content",
            page="folder-layout-not-understood",
        )
    return ImageFiles(
        root=place,
        file_names=tuple(names),
        labels_N=torch.tensor(labels, dtype=torch.int64),
        class_names=classes,
        fingerprint=image_fingerprint(place, names, labels, called=called or None) if hashed else "",
    )


def _of_pack(root: Path, splits: tuple[str, ...], expected: tuple[str, ...] | None) -> dict[str, ImageFiles]:
    classes, counts = packed_counts(root)
    if expected not in (None, classes):
        raise DataError(_other_classes(root, list(classes), expected or ()), page="the-classes-are-others")
    if absent := [split for split in splits if split not in counts]:
        raise DataError(
            f"{root} has no split {absent[0]!r}; it has {', '.join(counts)}.",
            page="folder-layout-not-understood",
        )
    packed: dict[str, ImageFiles] = {split: read_packed(root, split, classes) for split in splits}
    for split, files in packed.items():
        if len(files) != counts[split]:
            raise DataError(
                f"{root} is damaged: its table of {split} has {counted(len(files), 'image')}, its index "
                f"{counts[split]}.",
                hint=PACK_AGAIN,
            )
    return packed


def _other_classes(root: Path, found: list[str], expected: tuple[str, ...]) -> str:
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    parts = [
        f"{len(names)} {what} ({', '.join(map(readable, names[:3]))}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unknown", extra))
        if names
    ]
    return (
        f"{root} does not have the {counted(len(expected), 'class folder')} it should have: "
        f"{', '.join(parts)}."
    )
