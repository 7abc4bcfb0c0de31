"""The files below a folder, and which of them are photographs. None is decoded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from PIL import Image

from rescli.data.folders.names import (
    OLD_SUFFIXES,
    PLUGIN_SUFFIXES,
    SUFFIXES,
    is_junk,
)
from rescli.data.photos.content import begins_as_image, register_plugins
from rescli.files import open_file
from rescli.foreign_text import readable

__all__ = ["Detection", "LeftOut", "dead_links", "first_below", "images_below", "only_folder", "subfolders"]

Detection = Literal["content", "suffix"]
"""How photographs are told from other files: by suffix and else by content; or by ``OLD_SUFFIXES`` alone."""

_MOST_NAMED, _MOST_NESTED = 1000, 8


@dataclass(eq=False)
class LeftOut:
    """What lies among the photographs and is none.

    Attributes:
        num_files: files that are no images.
        by_suffix: how many of them have which suffix, in lower case.
        first: names of some of them.
        needs_plugin: suffix to the number of images that Pillow cannot read here.
        folders: names of folders of an operating system or a disk to how often they were met.
        broken_links: names of images that are links to nothing.
        linked_folders: names of links to folders, which are not followed.
    """

    num_files: int = 0
    by_suffix: Counter[str] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)
    needs_plugin: Counter[str] = field(default_factory=Counter)
    folders: Counter[str] = field(default_factory=Counter)
    broken_links: list[str] = field(default_factory=list)
    linked_folders: list[str] = field(default_factory=list)

    def add_file(self, name: str) -> None:
        self.num_files += 1
        suffix = Path(name).suffix.lower()
        self.by_suffix[suffix] += 1
        if suffix in PLUGIN_SUFFIXES:
            self.needs_plugin[suffix] += 1
        if len(self.first) < _MOST_NAMED:
            self.first.append(name)

    def update(self, other: LeftOut) -> None:
        """Add what another walk left out."""
        self.num_files += other.num_files
        self.by_suffix.update(other.by_suffix)
        self.needs_plugin.update(other.needs_plugin)
        self.folders.update(other.folders)
        self.first += other.first[: max(0, _MOST_NAMED - len(self.first))]
        self.broken_links += other.broken_links
        self.linked_folders += other.linked_folders


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; those that begin with a dot are left out.

    Raises:
        OSError: it cannot be read.
    """
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if _is_dir(entry) and not entry.name.startswith("."))


def dead_links(folder: Path) -> list[str]:
    """Names of the links in a folder that lead nowhere and may be meant for folders, sorted.

    What has a suffix is taken for a file: a disk that is not mounted leaves names such as ``pump``.

    Raises:
        OSError: it cannot be read.
    """
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_symlink()
            and not (os.path.exists(entry.path) or entry.name.startswith(".") or Path(entry.name).suffix)
        )


def first_below(place: Path, others: Iterable[Path]) -> tuple[str, ...]:
    """Names of the folders in a place that are, or hold, one of others."""
    inside = [other for other in others if place in other.parents]
    return tuple(dict.fromkeys(other.relative_to(place).parts[0] for other in inside))


def only_folder(folder: Path) -> Path:
    """The folder itself, or what its only folder holds, and so on: how archives nest what they unpack.

    Raises:
        OSError: a folder cannot be read.
    """
    for _ in range(_MOST_NESTED):
        names = subfolders(folder)
        if len(names) != 1:
            break
        folder = folder / names[0]
    return folder


def images_below(
    folder: Path, left_out: LeftOut, *, by: Detection, prefix: str = "", deep: bool = True
) -> Iterator[str]:
    """The photographs in a folder and, if ``deep``, in the folders below it, in no order.

    Args:
        folder: one that is not there has none.
        left_out: gets what is no photograph.
        by: how photographs are told from other files.
        prefix: what their names begin with.

    Raises:
        OSError: a folder cannot be read.
    """
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return
    known = (*SUFFIXES, *_readable_plugin_suffixes()) if by == "content" else OLD_SUFFIXES
    with entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.name.startswith("."):
                continue
            # Links to folders are not followed: they may lead in a circle.
            if entry.is_dir(follow_symlinks=False):
                if by == "content" and is_junk(entry.name):
                    left_out.folders[entry.name] += 1
                elif deep:
                    yield from images_below(Path(entry.path), left_out, by=by, prefix=f"{name}/")
            elif _is_image(entry, name, known, by, left_out):
                yield name
            elif _is_dir(entry):
                left_out.linked_folders.append(name)
            elif not (by == "content" and is_junk(entry.name)):
                left_out.add_file(name)


def _is_image(
    entry: os.DirEntry[str], name: str, known: tuple[str, ...], by: Detection, left_out: LeftOut
) -> bool:
    suffixed = entry.name.lower().endswith(known)
    # A pipe or a socket by an image's name would be read for ever; a link that leads nowhere is reported when
    # it is read.
    if not _is_file(entry):
        if suffixed and entry.is_symlink() and not os.path.exists(entry.path):
            left_out.broken_links.append(readable(name))
            return True
        return False
    if suffixed or by == "suffix":
        return suffixed
    if entry.name.lower().endswith(PLUGIN_SUFFIXES):
        return False
    try:
        with open_file(entry.path) as file:
            return begins_as_image(file.read(64))
    except OSError:
        return False


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


@cache
def _readable_plugin_suffixes() -> tuple[str, ...]:
    register_plugins()
    extensions = Image.registered_extensions()
    return tuple(suffix for suffix in PLUGIN_SUFFIXES if extensions.get(suffix) in Image.OPEN)
