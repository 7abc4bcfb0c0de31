"""A sound tree of class folders, as links to the images of a folder that is laid out in another way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from rescli.data.folders.finding import Finding, images_in_words
from rescli.data.folders.layout import FolderOptions, Layout, find_layout
from rescli.data.folders.listing import Listing, list_part, training_classes
from rescli.data.folders.names import ALL
from rescli.data.folders.rules.classes import of_classes
from rescli.data.folders.rules.left_out import left_out
from rescli.data.folders.rules.splits import of_splits
from rescli.data.folders.walk import LeftOut
from rescli.data.photos.decoding import open_rgb
from rescli.data.photos.prefetch import map_ahead
from rescli.errors import DataError, first_names
from rescli.foreign_text import readable

__all__ = ["Tidied", "Tidying", "plan_tidy", "write_tidy"]


@dataclass(frozen=True)
class Tidying:
    """What is to be linked.

    Attributes:
        links: where each link is to be, relative to the new folder, to the image's file.
        num_images: split to its number of images.
        renamed: class folders whose name was no UTF-8, to their new name.
        damaged: images that cannot be decoded, by name, with the reason; they are left out.
        foreign: split to class folders that train lacks; they are left out.
        findings: which tables the labels are from, and what else is left out.
        refusals: why no net can be trained on what is linked; it can be evaluated on.
    """

    links: Mapping[Path, Path]
    num_images: Mapping[str, int]
    renamed: Mapping[str, str]
    damaged: Mapping[str, str]
    foreign: Mapping[str, tuple[str, ...]]
    findings: tuple[Finding, ...] = ()
    refusals: tuple[Finding, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What it comes to, in words; of what was found in the folder, ``findings`` tell."""
        said = [f"{split}: {images_in_words(count)}" for split, count in self.num_images.items()]
        said += [f"renamed: {old} to {new}" for old, new in self.renamed.items()]
        said += [
            f"left out of {split}: classes that train lacks: {first_names(names)}"
            for split, names in self.foreign.items()
        ]
        if self.damaged:
            count = images_in_words(len(self.damaged))
            said.append(f"left out: {count} that cannot be decoded: {first_names(list(self.damaged))}")
        return said


@dataclass(frozen=True)
class Tidied:
    """A folder that was made.

    Attributes:
        root: the folder; it is a data root.
        tidying: what was linked, and what was left out.
    """

    root: Path
    tidying: Tidying


def plan_tidy(
    root: Path,
    wanted: FolderOptions,
    *,
    threads: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Tidying:
    """Decide which image goes where; each is decoded once, to know that it can be.

    Args:
        threads: that decode.
        progress: called with the number of images looked at, and of all.

    Raises:
        DataError: no such folder, its images have no classes, or classes that a setting would mend.
    """
    layout = find_layout(root, wanted)
    listings = {split: list_part(part, wanted) for split, part in layout.parts.items()}
    classes = training_classes(listings)
    _require_meant(layout, listings, classes)
    found = [*of_splits(layout, listings, None), *left_out(layout, _whole(listings))]
    new_names = _new_names(classes)
    renamed = {readable(old): new for old, new in new_names.items() if new != old}
    links: dict[Path, Path] = {}
    counts: dict[str, int] = {}
    damaged: dict[str, str] = {}
    seen, total = 0, sum(listing.num_images for listing in listings.values())
    foreign: dict[str, tuple[str, ...]] = {}
    for split, listing in listings.items():
        bad = _damaged(listing, threads, _from(seen, total, progress))
        damaged |= {f"{split} {readable(name)}": why for name, why in bad.items()}
        seen += listing.num_images
        if others := tuple(name for name in listing.classes if name not in classes):
            foreign[split] = others
        folder = Path() if split == ALL else Path(split)
        before = len(links)
        for class_name, name in _images(listing, classes):
            if name in bad:
                continue
            new_name = new_names[class_name]
            within = PurePosixPath(name)
            inside = within if listing.part.labels is not None else within.relative_to(class_name)
            links[folder / new_name / inside] = listing.part.place / name
        counts[split] = len(links) - before
        listings[split] = _without(listing, bad, classes)
    return Tidying(
        links,
        counts,
        renamed,
        damaged,
        foreign,
        tuple(finding for finding in found if finding.kind != "refused"),
        tuple(finding for finding in of_classes(layout, listings) if finding.kind == "refused"),
    )


def write_tidy(tidying: Tidying, folder: Path, *, copy: bool) -> None:
    """Make the links, or copies, below a folder that is there.

    Raises:
        OSError: a file cannot be made.
    """
    for new, image in tidying.links.items():
        place = folder / new
        # One by one: a folder that is taken away meanwhile is not made anew without what was in it.
        for inner in reversed([one for one in new.parents if one.name]):
            (folder / inner).mkdir(exist_ok=True)
        if copy:
            shutil.copy2(image, place)
        else:
            place.symlink_to(os.path.abspath(image))


def _require_meant(layout: Layout, listings: Mapping[str, Listing], classes: tuple[str, ...]) -> None:
    """Refuse folders that cannot be what somebody means by classes, where a setting says what they are."""
    mended = {
        # A split of other classes altogether is no split of these.
        split: _without(listing, (), classes) if {*listing.classes} & {*classes} else listing
        for split, listing in _whole(listings).items()
    }
    found = [*of_splits(layout, mended, None), *left_out(layout, mended), *of_classes(layout, mended)]
    mendable = [finding for finding in found if finding.kind == "refused" and finding.remedies]
    if mendable:
        raise DataError(
            "\n".join(finding.sentence for finding in mendable),
            remedy=list(dict.fromkeys(remedy for finding in mendable for remedy in finding.remedies)),
            page="folder-layout-not-understood",
        )


def _whole(listings: Mapping[str, Listing]) -> dict[str, Listing]:
    """The listings without links to nothing, which are damaged images like others."""
    return {split: replace(one, left_out=_without_broken(one.left_out)) for split, one in listings.items()}


def _without_broken(seen: LeftOut) -> LeftOut:
    return replace(seen, broken_links=[])


def _without(listing: Listing, bad: Container[str], classes: tuple[str, ...]) -> Listing:
    """A listing of these classes without some images."""
    images = {
        label: tuple(name for name in names if name not in bad)
        for label, names in listing.images.items()
        if label in classes
    }
    return replace(listing, images=images)


def _from(done: int, total: int, progress: Callable[[int, int], None]) -> Callable[[int], None]:
    return lambda count: progress(done + count, total)


def _damaged(listing: Listing, threads: int, progress: Callable[[int], None]) -> dict[str, str]:
    """Names of images that cannot be decoded, with the reason."""
    names = [name for files in listing.images.values() for name in files]

    def why(name: str) -> str | None:
        try:
            open_rgb(listing.part.place / name)
        except DataError as error:
            return str(error)
        return None

    found = {}
    for done, (name, reason) in enumerate(zip(names, map_ahead(why, names, threads=threads), strict=True), 1):
        progress(done)
        if reason is not None:
            found[name] = reason
    return found


def _images(listing: Listing, classes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for class_name in classes:
        for name in listing.images.get(class_name, ()):
            yield class_name, name


def _new_names(classes: tuple[str, ...]) -> dict[str, str]:
    """Class to the name of its folder: one name of a folder, UTF-8, and no two alike."""
    found: dict[str, str] = {}
    for name in classes:
        plain = _as_utf8(name).replace("/", "_").replace("\\", "_").replace("\0", "_")
        plain = f"_{plain}" if plain.startswith(".") else plain
        while plain in found.values() or (plain != name and plain in classes):
            plain += "_"
        found[name] = plain
    return found


def _as_utf8(name: str) -> str:
    """A name that is no UTF-8 is one of Windows' Western code page, nearly always."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("cp1252", "replace")
    return name
