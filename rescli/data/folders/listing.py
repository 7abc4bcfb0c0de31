"""The images of one split, class by class, as names; none is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rescli.data.folders.layout import FolderOptions, Part, is_runs_folder
from rescli.data.folders.names import ALL, is_junk
from rescli.data.folders.walk import LeftOut, images_below, subfolders
from rescli.errors import DataError
from rescli.foreign_text import readable

__all__ = ["Listing", "list_part", "training_classes"]


@dataclass(frozen=True, eq=False)
class Listing:
    """What one split holds.

    Attributes:
        part: the split.
        images: class to the names of its images, relative to ``part.place`` and sorted; also of class
            folders without an image.
        left_out: what lies there and is no image.
        run_folders: folders of rescli's own runs, which are left out.
        unlabelled: images that no class folder and no table gives a class, at most a hundred of them.
        num_unlabelled: how many there are.
    """

    part: Part
    images: Mapping[str, tuple[str, ...]]
    left_out: LeftOut
    run_folders: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    num_unlabelled: int = 0

    @property
    def num_images(self) -> int:
        return sum(map(len, self.images.values()))

    @property
    def classes(self) -> tuple[str, ...]:
        """Those that have an image, sorted."""
        return tuple(sorted(name for name, files in self.images.items() if files))

    @property
    def empty(self) -> tuple[str, ...]:
        """Class folders without an image, sorted."""
        return tuple(sorted(name for name, files in self.images.items() if not files))

    def counts(self) -> dict[str, int]:
        """Class to its number of images, in the order of names."""
        return {name: len(self.images[name]) for name in sorted(self.images)}


def list_part(part: Part, wanted: FolderOptions) -> Listing:
    """Walk the folders of a split.

    Raises:
        DataError: a folder cannot be read.
    """
    try:
        return _by_table(part, wanted) if part.labels is not None else _by_folders(part, wanted)
    except OSError as error:
        where = f" ({error.filename})" if error.filename not in (None, str(part.place)) else ""
        raise DataError(f"{part.place} cannot be read: {error.strerror or error}{where}.") from error


def _by_folders(part: Part, wanted: FolderOptions) -> Listing:
    left_out, runs = LeftOut(), []
    images: dict[str, tuple[str, ...]] = {}
    by_content = wanted.by == "content"
    for name in subfolders(part.place):
        if name in wanted.exclude or name in part.without:
            continue
        if by_content and is_junk(name):
            left_out.folders[name] += 1
            continue
        if by_content and (part.split == ALL or part.among_runs) and is_runs_folder(part.place / name):
            runs.append(readable(name))
            continue
        folder = part.place / name
        images[name] = tuple(sorted(images_below(folder, left_out, by=wanted.by, prefix=f"{name}/")))
    loose: list[str] = []
    if by_content:
        beside = LeftOut()
        loose = sorted(images_below(part.place, beside, by=wanted.by, deep=False))
    return Listing(part, images, left_out, tuple(runs), tuple(loose[:100]), len(loose))


def _by_table(part: Part, wanted: FolderOptions) -> Listing:
    assert part.labels is not None, "the caller looked"
    left_out = LeftOut()
    found: dict[str, list[str]] = {}
    loose = []
    for name in sorted(images_below(part.place, left_out, by=wanted.by, deep=part.deep)):
        label = part.labels.by_name.get(name)
        if label is None:
            loose.append(name)
        elif label not in wanted.exclude:
            found.setdefault(label, []).append(name)
    images = {label: tuple(names) for label, names in found.items()}
    return Listing(part, images, left_out, (), tuple(loose[:100]), len(loose))


def training_classes(listings: Mapping[str, Listing]) -> tuple[str, ...]:
    """The classes that have an image to train on; of a folder without any, those of its splits together."""
    train = listings.get("train") or listings.get(ALL)
    if train is not None:
        return train.classes
    return tuple(sorted({name for listing in listings.values() for name in listing.classes}))
