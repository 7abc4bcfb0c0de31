"""What is said of the splits of a folder, and of what lies beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rescli.data.folders.finding import Finding, images_in_words
from rescli.data.folders.labels import Labels
from rescli.data.folders.layout import Layout
from rescli.data.folders.listing import Listing, training_classes
from rescli.data.folders.names import (
    ALL,
    guessed_split,
    is_download_part,
    is_fold,
    named_split,
    split_in_name,
)
from rescli.data.folders.walk import only_folder, subfolders
from rescli.errors import first_names
from rescli.foreign_text import readable
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
            for title in listing.part.labels.split_columns:
                text = f"its column {readable(title)} is not used: all of its images are one split"
                yield Finding("odd", text)
    yield from _of_tables(listings)
    if num_held_out is not None:
        yield _of_held_out(next(iter(listings.values())).num_images, num_held_out)
    if layout.unlabelled is not None:
        own = subfolders(layout.unlabelled)
        why = (
            f"its folders are no classes of train: {first_names(own)}"
            if len(own) > 1
            else "its images have no labels"
        )
        yield Finding("left out", f"{readable(layout.unlabelled.name)}: {why}")
    for name in layout.unused:
        yield _of_unused(layout, listings, name)
    train = listings.get("train")
    if train is not None and train.part.labels is None:
        yield from _of_splits_among_classes(layout, train)
    if ALL in listings and listings[ALL].part.labels is None:
        yield from _of_one_split(layout, listings[ALL])


def _of_tables(listings: Mapping[str, Listing]) -> Iterator[Finding]:
    """Rows that label nothing, in any split, and rows that say again what another one said."""
    tables: dict[str, list[Labels]] = {}
    for listing in listings.values():
        if listing.part.labels is not None and listing.part.labels.table:
            tables.setdefault(listing.part.labels.table, []).append(listing.part.labels)
    for table, labels in tables.items():
        absent = {
            number: name
            for number, name in labels[0].absent.items()
            if not any(number in other.used for other in labels)
        }
        if absent:
            rows = "1 row" if len(absent) == 1 else f"{len(absent):,} rows"
            names = first_names([*absent.values()])
            yield Finding("odd", f"{readable(table)}: {rows} of images that are not there: {names}")
        if repeated := sum(one.repeated for one in labels):
            rows = "1 row says" if repeated == 1 else f"{repeated:,} rows say"
            yield Finding("note", f"{readable(table)}: {rows} again what an earlier one says")


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
            Remedy("data.dataset.test_folder", name, "to test on it")
            if guessed_split(name) == "test" and "test" not in listings
            else Remedy("data.dataset.val_folder", name, "to validate on it"),
            Remedy("data.dataset.exclude", (name,), "to leave it out"),
        ),
    )


def _of_one_split(layout: Layout, listing: Listing) -> Iterator[Finding]:
    yield from _of_folders_that_are_no_classes(layout, listing)
    root = layout.root.absolute()
    if named_split(root.name) == "train":
        beside = [name for name in subfolders(root.parent) if named_split(name) == "val"]
        if beside:
            yield Finding(
                "odd",
                f"beside {readable(root.name)} lies {readable(beside[0])}, which is not used",
                remedies=(Remedy("data_root", root.parent, "for both"),),
            )


def _of_folders_that_are_no_classes(layout: Layout, listing: Listing) -> Iterator[Finding]:
    root, classes = layout.root, listing.classes
    if len(classes) < 2 or classes == ("invalid", "valid"):
        return
    # Intel's seg_train/seg_train: a folder that holds one folder stands for that.
    places = {name: only_folder(root / name) for name in classes}
    below = {name: frozenset(subfolders(place)) for name, place in places.items()}
    named = [name for name in classes if named_split(name)]
    like = {name: split for name in classes if (split := split_in_name(name)) is not None}
    alike = [name for name in classes if len(below[name]) > 1 and list(below.values()).count(below[name]) > 1]
    meant = {name: guessed_split(name) for name in alike}
    if alike and all(named_split(name) for name in below[alike[0]]):
        yield Finding(
            "refused",
            f"{first_names(classes)} are no classes: each holds the splits "
            f"{first_names(sorted(below[alike[0]]))}.",
            remedies=(Remedy("data_root", places[alike[0]], "for one of them"),),
        )
    elif alike:
        each = f"each has the folders {first_names(sorted(below[alike[0]]))}"
        if not any(meant.values()) and not any(map(is_fold, alike)):
            yield Finding(
                "refused",
                f"{first_names(alike)} could be classes or splits: {each}.",
                hint="name the folder of the class folders, which is this one if they are classes",
                remedies=(Remedy("data.dataset.train_folder", ".", "where these are the classes"),),
            )
            return
        split_of = _splits_to_name(alike, meant)
        yield Finding(
            "refused",
            f"{first_names(alike)} look like splits, not classes: {each}.",
            hint=("name both folders" if len(alike) == 2 else "name two of them")
            + "; where they are the classes, put them into a folder train",
            remedies=tuple(
                _named(split, str(places[name].relative_to(root))) for split, name in split_of.items()
            ),
        )
    elif named or len({*like.values()}) > 1:
        found = named or list(like)
        excluded = (Remedy("data.dataset.exclude", (*found,), "to leave them out"),)
        yield Finding(
            "refused",
            f"{first_names(found)} {'is' if len(found) == 1 else 'are'} called as splits are, and would be "
            "classes.",
            hint="where that is meant, put all class folders into a folder train",
            remedies=(*excluded[: len(found) < len(classes)], *_labels_remedies(layout)),
        )
    elif parts := [name for name in classes if is_download_part(name)]:
        yield _of_parts_of_a_download(layout, classes, parts)


def _splits_to_name(alike: list[str], meant: dict[str, str | None]) -> dict[str, str]:
    """Which of some folders may be which split; without one like val, some of train can be held out."""
    found: dict[str, str] = {split: name for name, split in reversed(meant.items()) if split is not None}
    rest = [name for name in alike if meant[name] is None] or [*found.values()]
    train = found.get("train") or rest[0]
    others: dict[str, str] = {
        split: found[split] for split in ("val", "test") if split in found and found[split] != train
    }
    return {"train": train, **(others or {"val": next(name for name in alike if name != train)})}


def _named(split: str, folder: str) -> Remedy:
    if split == "train":
        return Remedy("data.dataset.train_folder", folder)
    if split == "val":
        return Remedy("data.dataset.val_folder", folder)
    return Remedy("data.dataset.test_folder", folder)


def _of_splits_among_classes(layout: Layout, listing: Listing) -> Iterator[Finding]:
    """Folders called as splits are, in the folder of the classes and with folders of their names."""
    place = listing.part.place
    classes = set(listing.classes)
    for name in listing.classes:
        if (split := named_split(name)) is None:
            continue
        if not (alike := sorted(classes.intersection(subfolders(place / name)))):
            continue
        named = _named(split, str((place / name).relative_to(layout.root)))
        free = split != "train" and split not in layout.parts
        # What is excluded by name is no split either, unless it is named as one.
        kept = {
            f"data.dataset.{other}_folder": str(part.place.relative_to(layout.root))
            for other, part in layout.parts.items()
            if part.place.name == name
        }
        yield Finding(
            "refused",
            f"{readable(str((place / name).relative_to(layout.root)))} would be a class, and looks like a "
            f"split: it has folders of the classes beside it ({first_names(alike)}).",
            remedies=(
                *((named,) if free else ()),
                Remedy("data.dataset.exclude", (*layout.wanted.exclude, name), "to leave it out", also=kept),
            ),
        )


def _of_parts_of_a_download(layout: Layout, classes: tuple[str, ...], parts: list[str]) -> Finding:
    one = len(parts) == 1
    are = f"{first_names(parts)} {'is' if one else 'are'} called as parts of a download are"
    exclude = Remedy("data.dataset.exclude", (*parts,), f"to leave {'it' if one else 'them'} out")
    left_out = [exclude] if len(classes) - len(parts) > 1 else []
    if one:  # a class may well be called so: mask and no_mask
        return Finding("odd", f"{are}, and taken for a class", remedies=(*left_out,))
    flat = [layout.root / name for name in parts if not subfolders(layout.root / name)]
    others = _labels_remedies(layout) or tuple(Remedy("data_root", place) for place in flat[:1])
    return Finding(
        "refused",
        f"{are}, and would be classes.",
        hint="where that is meant, put all class folders into a folder train",
        remedies=(*others, *left_out),
    )


def _labels_remedies(layout: Layout) -> tuple[Remedy, ...]:
    """The tables in the root, of which one may label the images."""
    tables = [path.name for path in sorted(layout.root.iterdir()) if path.suffix.lower() in (".csv", ".tsv")]
    return tuple(
        Remedy("data.dataset.labels", name, "where it labels them")
        for name in tables[:2]
        if "submission" not in name.lower()
    )
