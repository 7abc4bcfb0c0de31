"""What is said of the classes of a folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rescli.data.folders.finding import Finding, classes_in_words
from rescli.data.folders.layout import Layout
from rescli.data.folders.listing import Listing, training_classes
from rescli.data.folders.names import ALL, is_background, near_names, same_but_for_spelling
from rescli.data.folders.walk import LeftOut, only_folder, subfolders
from rescli.errors import first_names
from rescli.foreign_text import readable
from rescli.installation import install_command
from rescli.remedy import Remedy

__all__ = ["of_classes", "of_encodings"]

_FEW_IMAGES = 5
_UNEVEN = 50


def of_classes(layout: Layout, listings: Mapping[str, Listing]) -> Iterator[Finding]:
    """Classes that are too few, small or spelled alike, and those that a split has and another lacks."""
    classes = training_classes(listings)
    train = listings.get("train") or listings.get(ALL)
    if train is None:
        yield _of_no_train(layout, listings)
        return
    if len(classes) < 2:
        yield _of_too_few(layout.root, train, classes)
    for split, listing in listings.items():
        if listing is not train and len(classes) > 1:  # else it is train that is wrong
            yield from _of_another_split(split, listing, classes)
    for group in same_but_for_spelling(classes):
        yield Finding("odd", f"classes that differ in spelling alone: {first_names(group)}")
    for name in filter(is_background, classes):
        yield Finding(
            "odd",
            f"{readable(name)} is trained as a class like any other",
            remedies=(Remedy("data.dataset.exclude", (name,), "to leave it out"),),
        )
    if len(classes) > 1:
        yield from _of_numbers(train, classes)


def _of_no_train(layout: Layout, listings: Mapping[str, Listing]) -> Finding:
    """Only splits to test on; or one class that is called as they are, among the others."""
    beside = tuple(
        dict.fromkeys(part.place.relative_to(layout.root).parts[0] for part in layout.parts.values())
    )
    text = f"{layout.root} has no training images: {', '.join(listings)} only"
    of_these = all({*listing.classes} <= {*layout.unused} for listing in listings.values())
    as_they_are = Remedy("data.dataset.train_folder", ".", "where these are the classes")
    if not layout.unused:
        return Finding("refused", f"{text}.")
    return Finding(
        "refused",
        f"{text}, beside {first_names(layout.unused)}.",
        hint=None if of_these else "where these are the classes, put them into a folder train",
        remedies=(
            *((as_they_are,) if of_these else ()),
            Remedy("data.dataset.exclude", beside, f"to leave {first_names(beside)} out"),
        ),
    )


def of_encodings(listings: Mapping[str, Listing]) -> Iterator[Finding]:
    """Names of classes that cannot be written down."""
    undecodable = [name for name in training_classes(listings) if not _is_utf8(name)]
    if undecodable:
        yield Finding(
            "refused",
            f"{classes_in_words(len(undecodable))} with a name that is no UTF-8: {first_names(undecodable)}.",
            hint="rename the folder; convmv -f cp1252 -t utf8 renames all of an old archive"
            if sys.getfilesystemencoding() == "utf-8"
            else "the environment variable PYTHONUTF8=1 lets Python read names in any script",
        )


def _of_another_split(split: str, listing: Listing, classes: Sequence[str]) -> Iterator[Finding]:
    foreign = [name for name in listing.classes if name not in classes]
    if foreign:
        near = {name: near_names(name, classes) for name in foreign[:3]}
        meant = "; ".join(f"{readable(a)}: did you mean {first_names(b)}?" for a, b in near.items() if b)
        text = (
            f"{split} has {classes_in_words(len(foreign))} that train lacks: {first_names(foreign)}"
            f"{f' ({meant})' if meant else ''}."
        )
        if split == "val":
            yield Finding(
                "refused",
                text,
                hint=f"rename or remove the folder in {readable(str(listing.part.place))}"
                if meant or {*listing.classes} & {*classes}
                else "has it a table of labels elsewhere? Put it into that folder",
                remedies=() if meant else (Remedy("data.dataset.exclude", (*foreign,), "to leave it out"),),
            )
        else:
            yield Finding(
                "odd",
                text,
                hint="its images cannot be tested with such a class",
                remedies=(Remedy("data.dataset.exclude", (*foreign,), "to leave it out"),),
            )
    if absent := [name for name in classes if name not in listing.classes]:
        yield Finding(
            "odd", f"{split} has no image of {classes_in_words(len(absent))}: {first_names(absent)}"
        )


def _of_numbers(train: Listing, classes: Sequence[str]) -> Iterator[Finding]:
    counts = {name: len(train.images[name]) for name in classes}
    if tiny := [name for name, count in counts.items() if count < _FEW_IMAGES]:
        shown = first_names([f"{name} {counts[name]}" for name in tiny])
        yield Finding(
            "odd",
            f"{classes_in_words(len(tiny))} of fewer than {_FEW_IMAGES} training images: {shown}",
        )
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[most] >= _UNEVEN * counts[least]:
        uneven = f"{counts[least]:,} ({readable(least)}) to {counts[most]:,} ({readable(most)})"
        yield Finding("odd", f"the classes are uneven: from {uneven} training images")
    if nested := [name for name in classes if _only_in_subfolders(train.images[name])]:
        yield Finding("odd", f"classes whose images lie in several folders below: {first_names(nested)}")


def _of_too_few(root: Path, train: Listing, classes: Sequence[str]) -> Finding:
    place = train.part.place
    if not classes:
        return Finding(
            "refused",
            f"{place} has no image in its class folders ({len(train.images)}).",
            hint=_why_none(train.left_out),
        )
    inside = only_folder(place / classes[0]) if (place / classes[0]).is_dir() else place
    remedies: tuple[Remedy, ...] = ()
    if inside != place and len(subfolders(inside)) > 1:
        if train.part.split == ALL:
            remedies = (Remedy("data_root", inside),)
        else:
            remedies = (Remedy("data.dataset.train_folder", str(inside.relative_to(root))),)
    return Finding(
        "refused",
        f"{place} has one class, {readable(classes[0])}, and a net needs two to tell apart.",
        hint=None if remedies else "each class needs a folder of its own",
        remedies=remedies,
    )


def _why_none(left_out: LeftOut) -> str:
    if left_out.needs_plugin:
        return f"its images need a plugin of Pillow: {install_command('heif')}"
    if left_out.by_suffix:
        first = left_out.by_suffix.most_common(4)
        found = ", ".join(f"{count:,} {suffix or 'without suffix'}" for suffix, count in first)
        return f"there are only files that are no images: {found}"
    return "the folders are empty"


def _only_in_subfolders(names: Sequence[str]) -> bool:
    below = {Path(name).parts[1] for name in names if name.count("/") > 1}
    return len(below) > 1 and all(name.count("/") > 1 for name in names)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
