"""What is said of the splits of a folder, and of what lies beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rescli.data.folders.finding import Finding, first_names, images_in_words
from rescli.data.folders.layout import Layout
from rescli.data.folders.listing import Listing, training_classes
from rescli.data.folders.names import ALL, named_split, readable
from rescli.data.folders.walk import subfolders
from rescli.remedy import Remedy

__all__ = ["of_splits"]


def of_splits(layout: Layout, listings: Mapping[str, Listing], num_held_out: int | None) -> Iterator[Finding]:
    """How they are called and labelled, what is held out, and which folders belong to none."""
    for split, listing in listings.items():
        folder = str(listing.part.place.relative_to(layout.root))
        if split not in (ALL, folder):
            yield Finding("note", f"{split} is the folder {readable(folder)}")
        if listing.part.labels is not None:
            yield Finding("note", f"{split} is labelled by {readable(listing.part.labels.source)}")
    if num_held_out is not None:
        yield _of_held_out(next(iter(listings.values())).num_images, num_held_out)
    if layout.unlabelled is not None:
        yield Finding("left out", f"{readable(layout.unlabelled.name)}: its images have no labels")
    for name in layout.unused:
        yield _of_unused(layout, listings, name)
    if ALL in listings and listings[ALL].part.labels is None:
        yield from _of_one_split(layout, listings[ALL].classes)


def _of_held_out(num_images: int, num_held_out: int) -> Finding:
    if not num_held_out:
        few = images_in_words(num_images)
        return Finding("odd", f"no folder val, and {few} are too few to hold some out: no validation")
    return Finding(
        "note",
        f"no folder val: {num_held_out:,} of {images_in_words(num_images)} are held out for validation, "
        "drawn class by class",
    )


def _of_unused(layout: Layout, listings: Mapping[str, Listing], name: str) -> Finding:
    alike = sorted(set(subfolders(layout.root / name)) & set(training_classes(listings)))
    if not alike or "val" in listings or "train" not in listings:
        return Finding("left out", f"{readable(name)}: a folder with images that belongs to no split")
    return Finding(
        "refused",
        f"{readable(name)} looks like a split, for it has the class folders of train ({first_names(alike)}), "
        "and there is no val.",
        remedies=(
            Remedy("data.dataset.val_folder", name, "to validate on it"),
            Remedy("data.dataset.exclude", (name,), "to leave it out"),
        ),
    )


def _of_one_split(layout: Layout, classes: tuple[str, ...]) -> Iterator[Finding]:
    # Folders that all hold the same class folders are splits by names that nobody knows.
    below = [frozenset(subfolders(layout.root / name)) for name in classes]
    shared = frozenset.intersection(*below) if len(below) > 1 else frozenset()
    named = [name for name in classes if named_split(name) and classes != ("invalid", "valid")]
    if len(shared) > 1:
        yield Finding(
            "refused",
            f"{first_names(classes)} look like splits, not classes: each has the folders "
            f"{first_names(sorted(shared))}. Say which is which, with both of these.",
            remedies=(
                Remedy("data.dataset.train_folder", classes[0]),
                Remedy("data.dataset.val_folder", classes[1]),
            ),
        )
    elif named:
        is_one = len(named) == 1
        yield Finding(
            "refused",
            f"{first_names(named)} {'is' if is_one else 'are'} called as a split is, and would be "
            f"{'a class' if is_one else 'classes'}.",
            hint="where that is meant, put all class folders into a folder train",
            remedies=(Remedy("data.dataset.exclude", (*named,), "to leave it out"),),
        )
    root = layout.root.absolute()
    if named_split(root.name) == "train":
        beside = [name for name in subfolders(root.parent) if named_split(name) == "val"]
        if beside:
            yield Finding(
                "odd",
                f"beside {readable(root.name)} lies {readable(beside[0])}, which is not used",
                remedies=(Remedy("data_root", root.parent, "for both"),),
            )
