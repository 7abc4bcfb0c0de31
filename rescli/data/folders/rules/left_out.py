"""What lies among the photographs and is not used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rescli.data.folders.finding import Finding, classes_in_words, images_in_words
from rescli.data.folders.layout import Layout
from rescli.data.folders.listing import Listing
from rescli.data.folders.names import named_split, near_names
from rescli.data.folders.walk import LeftOut, dead_links, subfolders
from rescli.errors import first_names
from rescli.installation import install_command
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["left_out"]


def left_out(layout: Layout, listings: Mapping[str, Listing]) -> Iterator[Finding]:
    """Other files, folders of a system, runs, images without a class, classes without an image."""
    total = LeftOut()
    for listing in listings.values():
        total.update(listing.left_out)
        if listing.run_folders:
            yield Finding("left out", f"{first_names(listing.run_folders)}: runs of rescli, no class")
        if listing.num_unlabelled:
            why = "in no class folder" if listing.part.labels is None else "of no label in the table"
            yield Finding(
                "left out",
                f"{images_in_words(listing.num_unlabelled)} of {listing.part.split} {why}: "
                f"{first_names(listing.unlabelled)}",
            )
    if total.folders:
        names = first_names(sorted(total.folders))
        yield Finding("left out", f"folders of a system, which are no classes: {names}")
    if total.linked_folders:
        yield Finding(
            "left out", f"links to folders, which are not followed: {first_names(total.linked_folders)}"
        )
    yield from _files(total)
    filled = {name for listing in listings.values() for name in listing.classes}
    if empty := sorted({name for listing in listings.values() for name in listing.empty} - filled):
        yield Finding(
            "left out", f"{classes_in_words(len(empty))} without an image anywhere: {first_names(empty)}"
        )
    yield from _excluded(layout)
    yield from _dead_folders(layout)
    if total.broken_links:
        yield Finding(
            "refused",
            f"{images_in_words(len(total.broken_links))} by name, but only a link to nothing: "
            f"{first_names(total.broken_links)}.",
            hint="mend or remove them",
        )


def _dead_folders(layout: Layout) -> Iterator[Finding]:
    """Links in the place of classes or splits that lead nowhere, as to a disk that is not mounted."""
    classes_in = {part.place for part in layout.parts.values() if part.labels is None}
    for place in dict.fromkeys((layout.root, *(part.place for part in layout.parts.values()))):
        dead = [name for name in dead_links(place) if name not in layout.wanted.exclude]
        if place not in classes_in:
            dead = [name for name in dead if place == layout.root and named_split(name)]
        if not dead:
            continue
        names = first_names([str((place / name).relative_to(layout.root)) for name in dead])
        are = "is a link to a place that is" if len(dead) == 1 else "are links to places that are"
        yield Finding(
            "refused",
            f"{names} {are} not there.",
            hint="mount the disk, or mend or remove the link",
            remedies=(Remedy("data.dataset.exclude", (*layout.wanted.exclude, *dead), "to leave it out"),),
        )


def _excluded(layout: Layout) -> Iterator[Finding]:
    excluded = layout.wanted.exclude
    if not excluded:
        return
    there = {*subfolders(layout.root)}
    for place in (
        layout.root,
        *(layout.root / name for name in sorted(there)),
        *(p.place for p in layout.parts.values()),
    ):
        there |= {*subfolders(place), *dead_links(place)}
    for part in layout.parts.values():
        there |= {*part.labels.by_name.values()} if part.labels is not None else set()
    if unknown := [name for name in excluded if name not in there]:
        near = near_names(unknown[0], there)
        meant = f"; did you mean {first_names(near)}?" if near else ""
        yield Finding("refused", f"data.dataset.exclude: no folder or class {first_names(unknown)}{meant}")
    yield Finding("left out", f"as asked: {first_names(excluded)}")


def _files(total: LeftOut) -> Iterator[Finding]:
    if total.needs_plugin:
        kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(total.needs_plugin.items()))
        yield Finding(
            "odd",
            f"images that need a plugin of Pillow are left out: {kinds}",
            hint=install_command("heif"),
        )
    suffixes = total.by_suffix - total.needs_plugin
    if count := suffixes.total():
        kinds = ", ".join(f"{n:,} {suffix or 'without suffix'}" for suffix, n in suffixes.most_common(6))
        what = f"{counted(count, 'file')} that {'is no image' if count == 1 else 'are no images'}"
        yield Finding("left out", f"{what}: {kinds}")
