"""What a folder of photographs holds, and what is odd about it, before anything is trained on it.

Folders and tables are read whole; of the images only their first bytes, and of more than
``MOST_LOOKED_AT`` in a split an even choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rescli.data.folders.finding import KINDS, Finding
from rescli.data.folders.headers import HeaderSummary, look_at, num_looked_at
from rescli.data.folders.layout import FolderOptions, Layout, find_layout
from rescli.data.folders.listing import Listing, list_part, training_classes
from rescli.data.folders.names import ALL
from rescli.data.folders.rules.classes import of_classes, of_encodings
from rescli.data.folders.rules.images import of_images
from rescli.data.folders.rules.left_out import left_out
from rescli.data.folders.rules.splits import of_splits
from rescli.errors import DataError

__all__ = ["SplitSurvey", "Survey", "survey_folder"]


@dataclass(frozen=True, eq=False)
class SplitSurvey:
    """One split.

    Attributes:
        split: train, val, test or all.
        folder: where it is, relative to the root.
        labelled_by: the table, where no class folders say it.
        per_class: class to its number of images, classes in the order of names.
        looks: sizes and orientations.
    """

    split: str
    folder: str
    labelled_by: str | None
    per_class: Mapping[str, int]
    looks: HeaderSummary

    @property
    def num_images(self) -> int:
        return sum(self.per_class.values())


@dataclass(frozen=True, eq=False)
class Survey:
    """A folder of photographs.

    Attributes:
        root: the folder.
        class_names: what is trained on, in label order.
        splits: those that have labels.
        num_held_out: training images that become the validation part; None where the folder has one.
        findings: the gravest last.
    """

    root: Path
    class_names: tuple[str, ...]
    splits: tuple[SplitSurvey, ...]
    num_held_out: int | None
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Split to its number of images."""
        return {split.split: split.num_images for split in self.splits}

    @property
    def refusals(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.kind == "refused")

    def require_trainable(self) -> None:
        """Do nothing where nets can be trained on it.

        Raises:
            DataError: everything that is in the way.
        """
        found = self.refusals
        if found:
            raise DataError(
                "\n".join(finding.sentence for finding in found),
                remedy=list(dict.fromkeys(remedy for finding in found for remedy in finding.remedies)),
                page="folder-layout-not-understood",
            )

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "root": str(self.root),
            "class_names": list(self.class_names),
            "num_held_out": self.num_held_out,
            "splits": [
                {
                    "split": one.split,
                    "folder": one.folder,
                    "labelled_by": one.labelled_by,
                    "num_images": one.num_images,
                    "images_per_class": dict(one.per_class),
                    "looked_at": one.looks.num_looked_at,
                }
                for one in self.splits
            ],
            "findings": [{"kind": finding.kind, "text": finding.text} for finding in self.findings],
        }


def survey_folder(
    root: Path,
    wanted: FolderOptions,
    *,
    image_size: int,
    upright: bool = False,
    held_out: Callable[[int], int],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    every_header: bool = False,
) -> Survey:
    """Look at a folder, and say what is odd.

    Args:
        image_size: side of the training images, in pixels.
        upright: whether an orientation that a file notes is applied.
        held_out: how many of so many training images are held out where there is no val.
        progress: called now and then with the number of images looked at, and of all that are to be.
        every_header: look at all images, however many there are.

    Raises:
        DataError: no such folder, or its images have no classes.
    """
    layout = find_layout(root, wanted)
    listings = {split: list_part(part, wanted) for split, part in layout.parts.items()}
    looks: dict[str, HeaderSummary] = {}
    done, total = 0, sum(num_looked_at(listing, every_header) for listing in listings.values())
    for split, listing in listings.items():
        looks[split] = look_at(listing, every=every_header, progress=_from(done, total, progress))
        done += looks[split].num_looked_at
    whole = listings.get("train") or listings.get(ALL)
    num_held_out = None
    if whole is not None and "val" not in listings:
        num_held_out = held_out(whole.num_images)
    findings = [
        *of_splits(layout, listings, num_held_out),
        *left_out(layout, listings),
        *of_encodings(listings),
        *of_classes(layout, listings),
        *of_images(listings, looks, root=root, image_size=image_size, upright=upright),
    ]
    return Survey(
        root=root,
        class_names=training_classes(listings),
        splits=tuple(_split(layout, listing, looks[split]) for split, listing in listings.items()),
        num_held_out=num_held_out,
        findings=tuple(sorted(findings, key=lambda finding: KINDS.index(finding.kind))),
    )


def _from(done: int, total: int, progress: Callable[[int, int], None]) -> Callable[[int], None]:
    return lambda count: progress(done + count, total)


def _split(layout: Layout, listing: Listing, looks: HeaderSummary) -> SplitSurvey:
    part = listing.part
    return SplitSurvey(
        split=part.split,
        folder=str(part.place.relative_to(layout.root)),
        labelled_by=part.labels.source if part.labels is not None else None,
        per_class={name: count for name, count in listing.counts().items() if count},
        looks=looks,
    )
