"""The official archives of ImageNet 2012 as folders that training and evaluation read."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rescli.data.imagenet.labels import DEVKIT
from rescli.data.imagenet.official import TRAIN, VAL, ByteProgress, CheckedArchive, check_md5
from rescli.errors import CheckpointError, DataError, UsageError
from rescli.hardware.disk.file_lock import InUse, held_alone
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.report.table import short
from rescli.workflows.notes import with_notes

__all__ = ["PreparedImageNet", "PreparedSplit", "prepare_imagenet"]

_log = logging.getLogger(__name__)

_LOCK = ".rescli-prepare.lock"


@dataclass(frozen=True, repr=False)
class PreparedSplit:
    """One split as it stands on the disk.

    Args:
        split: ``train`` or ``val``.
        num_classes: its class folders.
        num_images: the images in them.
        num_new: those of them that were not there before.
        images_per_class: WordNet id to number of images.
    """

    split: Literal["train", "val"]
    num_classes: int
    num_images: int
    num_new: int
    images_per_class: Mapping[str, int]

    def __repr__(self) -> str:
        return (
            f"PreparedSplit({self.split}: {counted(self.num_images, 'image')}, "
            f"{counted(self.num_classes, 'class')})"
        )


@dataclass(frozen=True, repr=False)
class PreparedImageNet:
    """A folder that training and evaluation read.

    Args:
        root: the folder.
        splits: what stands in it.
        labels: where the labels of val come from; None without val.
        archives: what it was made of.
    """

    root: str
    splits: tuple[PreparedSplit, ...]
    labels: str | None
    archives: tuple[CheckedArchive, ...]

    def __repr__(self) -> str:
        lines = [
            f"{one.split}: {counted(one.num_images, 'image')}, {counted(one.num_classes, 'class')}"
            for one in self.splits
        ]
        return short(f"ImageNet in {self.root}", lines)


@dataclass(frozen=True)
class _Labels:
    """Where the labels of val were found, and file name to WordNet id."""

    path: Path
    by_file: dict[str, str]


@with_notes
def prepare_imagenet(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    progress: ByteProgress | None = None,
    warn: Callable[[str], None] = _log.warning,
) -> PreparedImageNet:
    """Extract the official archives of ImageNet 2012 into train/WNID/*.JPEG and val/WNID/*.JPEG.

    Stopped or killed, the same call goes on: a folder that has its name is whole. The archives stay.

    Args:
        source: the folder with one or both archives and, beside that of val, its labels.
        out: where train/ and val/ will be; None for ``source``.
        progress: called with what is done, the bytes done and the bytes in all.
        warn: called where an archive is not the official one, or is not checked.

    Returns:
        What stands on the disk now.

    Raises:
        DataError: no archive, no labels, or an archive that is damaged.
        UsageError: too little room on the disk, or another process is preparing the same folder.
        CheckpointError: the folder cannot be written; what is whole stays.

    Example:
        >>> from rescli.errors import DataError
        >>> try:
        ...     prepare_imagenet("archives")
        ... except DataError as error:
        ...     print(error)
        archives is no folder with ILSVRC2012_img_train.tar nor ILSVRC2012_img_val.tar.
    """
    from rescli.data.imagenet.labels import SOURCES, find_labels

    source = Path(source)
    root = source if out is None else Path(out)
    archives = [source / each for each in (TRAIN, VAL) if (source / each).is_file()]
    if not archives:
        what = "has neither" if source.is_dir() else "is no folder with"
        raise DataError(
            f"{source} {what} {TRAIN} nor {VAL}.",
            hint="name the folder that they are in",
            page="data.md#imagenet",
        )
    found = find_labels([source]) if source / VAL in archives else None
    if source / VAL in archives and found is None:
        raise DataError(
            f"{source} has {VAL} but no labels.",
            hint=f"put one of {', '.join(SOURCES)} beside it",
            page="data.md#imagenet",
        )
    labels = None if found is None else _Labels(*found)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root):
            return _prepare(archives, root, labels, progress or _unseen, warn)
    except OSError as error:
        about = f" ({error.filename})" if error.filename else ""
        raise CheckpointError(
            f"cannot make {root}: {error.strerror or error}{about}; what is whole stays.",
            hint="make room or mend it; then the same command goes on",
            page="disk-full-read-only-or-failing",
        ) from error


def _prepare(
    archives: list[Path],
    root: Path,
    labels: _Labels | None,
    progress: ByteProgress,
    warn: Callable[[str], None],
) -> PreparedImageNet:
    from rescli.data.imagenet.archives import clear_staging

    for split in ("train", "val"):
        clear_staging(root / split)
    _check_space(archives, root)
    to_check = [*archives, *([labels.path] if labels is not None and labels.path.name == DEVKIT else [])]
    checked = tuple(check_md5(path, root, progress, warn) for path in to_check)
    return PreparedImageNet(
        root=str(root),
        splits=tuple(_extract(archive, root, labels, progress) for archive in archives),
        labels=str(labels.path) if labels is not None else None,
        archives=checked,
    )


def _extract(archive: Path, root: Path, labels: _Labels | None, progress: ByteProgress) -> PreparedSplit:
    from rescli.data.imagenet.archives import extract_train, extract_val
    from rescli.data.specs import ImageNetSpec

    dataset, split = ImageNetSpec(), _split_of(archive)

    def report(done: int, total: int) -> None:
        progress(split, done, total)

    if split == "train":
        made = extract_train(
            archive,
            root / split,
            dataset.class_names,
            num_images=dataset.sizes[split],
            progress=report,
        )
    else:
        assert labels is not None
        made = extract_val(
            archive,
            root / split,
            labels.by_file,
            dataset.class_names,
            num_images=dataset.sizes[split],
            labels_from=labels.path,
            progress=report,
        )
    return PreparedSplit(
        split=split,
        num_classes=len(made.images_per_class),
        num_images=made.num_images,
        num_new=made.num_new,
        images_per_class=dict(made.images_per_class),
    )


def _split_of(archive: Path) -> Literal["train", "val"]:
    return "train" if archive.name == TRAIN else "val"


def _check_space(archives: list[Path], root: Path) -> None:
    from rescli.data.imagenet.archives import bytes_to_write

    needed = sum(
        bytes_to_write(path, root / _split_of(path), of_classes=_split_of(path) == "train")
        for path in archives
    )
    free = shutil.disk_usage(root).free
    if needed > free:
        raise UsageError(
            f"{root} has room for {free / 1e9:.1f} GB; {needed / 1e9:.1f} GB are needed.",
            remedy=Remedy("out", "DIR", "on a larger disk"),
            page="disk-full-read-only-or-failing",
        )


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(held_alone(root / _LOCK))
        except InUse as error:
            raise UsageError(
                f"{root} is being prepared by another process.",
                hint=error.hint or "wait for it",
                page="locks-and-network-disks",
            ) from error
        yield


def _unseen(what: str, done: int, total: int) -> None:
    pass
