"""ImageNet 2012 as people have it on their disks.

ROOT/train/WNID/*.JPEG, ROOT/val/WNID/*.JPEG     as ``rescli data prepare imagenet`` and many scripts leave it
ROOT/val/ILSVRC2012_val_00000001.JPEG ...        as the official archive and Kaggle's unpack, with labels
ROOT/packed.json                                 by ``rescli data pack``

ROOT is the folder given or, in it, imagenet, ILSVRC2012 or ILSVRC/Data/CLS-LOC. Both forms of val give the
same images in the same order, with the same labels and the same fingerprint.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

from rescli.data.folders.layout import FolderOptions
from rescli.data.folders.names import ALL, OLD_SUFFIXES
from rescli.data.folders.read import image_fingerprint, read_folder
from rescli.data.imagenet.labels import SOURCES, find_labels, labels_of
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.pack_index import is_packed
from rescli.errors import DataError
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["find_imagenet", "read_imagenet"]

_AS_PUBLISHED = FolderOptions(by="suffix")
_KAGGLE = Path("ILSVRC/Data/CLS-LOC")
_PLACES = (Path(), Path("imagenet"), Path("ILSVRC2012"), _KAGGLE)


def find_imagenet(root: Path, splits: tuple[str, ...]) -> Path:
    """The folder that holds ImageNet; no file in it is opened.

    Args:
        root: the folder given.
        splits: at least one of them must be there.

    Raises:
        DataError: it is nowhere below ``root``.
    """
    places = [root / place for place in _PLACES]
    place = next((place for place in places if _holds(place, splits)), None)
    if place is None:
        raise DataError(
            f"no ImageNet in {root}: none of {', '.join(splits)} is a folder in it.",
            hint="it needs train/WNID/*.JPEG and val/WNID/*.JPEG",
            remedy=[
                Remedy("prepare_imagenet", note="makes them of the official archives"),
                Remedy("data_root", "DIR", "names another place"),
            ],
            page="data.md#imagenet",
        )
    return place


def read_imagenet(
    root: Path, splits: tuple[str, ...], class_names: tuple[str, ...], *, hashed: bool = True
) -> dict[str, ImageFiles]:
    """List and hash the images of the splits; decodes none.

    Args:
        hashed: read every file for the fingerprints; else those mean nothing.

    Raises:
        DataError: files missing or damaged, other classes, or images without labels.
    """
    place = find_imagenet(root, splits)
    names = [] if is_packed(place) else _flat_images(place / "val")
    if not names:
        return read_folder(place, splits, class_names=class_names, wanted=_AS_PUBLISHED, hashed=hashed)
    found = {}
    for split in splits:
        if split == "val":
            found[split] = _read_flat(place, root, names, class_names, hashed)
        else:  # by itself: the val beside it has no class folders
            whole = read_folder(
                place / split, (ALL,), class_names=class_names, wanted=_AS_PUBLISHED, hashed=hashed
            )
            found[split] = whole[ALL]
    return found


def _read_flat(
    place: Path, root: Path, names: list[str], class_names: tuple[str, ...], hashed: bool
) -> ImageFiles:
    val = place / "val"
    beside = [val, place, root]
    if place.parts[-3:] == _KAGGLE.parts:
        beside.append(place.parents[2])  # where Kaggle's archive has its CSV
    labelled = find_labels(beside)
    if labelled is None:
        raise DataError(
            f"{val} holds {counted(len(names), 'image')} without class folders, and no labels are beside "
            "them.",
            hint=f"put one of {', '.join(SOURCES)} into {place}, or",
            remedy=Remedy("prepare_imagenet"),
            page="data.md#imagenet",
        )
    source, labels = labelled
    wnids = labels_of(names, labels, class_names, source)
    class_of = {name: label for label, name in enumerate(class_names)}
    # As class folders would be listed.
    ordered = sorted((class_of[wnid], name) for wnid, name in zip(wnids, names, strict=True))
    numbers = [label for label, _ in ordered]
    files = [name for _, name in ordered]
    in_folders = [f"{class_names[label]}/{name}" for label, name in ordered]
    return ImageFiles(
        root=val,
        file_names=tuple(files),
        labels_N=torch.tensor(numbers, dtype=torch.int64),
        class_names=class_names,
        fingerprint=image_fingerprint(val, files, numbers, called=in_folders) if hashed else "",
    )


def _flat_images(val: Path) -> list[str]:
    """Images that lie in the folder itself; none where it has class folders."""
    try:
        if not val.is_dir():
            return []
        with os.scandir(val) as scan:
            entries = [entry for entry in scan if not entry.name.startswith(".")]
        if any(entry.is_dir() for entry in entries):
            return []
        return [entry.name for entry in entries if entry.name.lower().endswith(OLD_SUFFIXES)]
    except OSError as error:
        raise DataError(f"{val} cannot be read: {error.strerror or error}.") from error


def _holds(place: Path, splits: tuple[str, ...]) -> bool:
    return is_packed(place) or any((place / split).is_dir() for split in splits)
