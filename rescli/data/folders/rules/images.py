"""What is said of the sizes, orientations and kinds of images, by their first bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from rescli.data.folders.finding import Finding, images_in_words
from rescli.data.folders.headers import HeaderSummary
from rescli.data.folders.listing import Listing
from rescli.data.folders.names import ALL
from rescli.errors import first_names
from rescli.remedy import Remedy

__all__ = ["of_images"]

_GREY_OF_16_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
_OF_NO_KNOWN_WHITE = ("F", "I")
_MASK = re.compile(r"(.*?)[-_ ](?:mask|seg|segmentation)(?:[-_ ]?\d+)?", re.DOTALL)
_LEAST = 32
_SIZES = (64, 96, 128, 160, 192)


def of_images(
    listings: Mapping[str, Listing],
    looks: Mapping[str, HeaderSummary],
    *,
    root: Path,
    image_size: int,
    upright: bool,
) -> Iterator[Finding]:
    """Damage, orientation, shapes and sizes out of the ordinary.

    Args:
        root: the folder that was surveyed.
        image_size: side of the training images, in pixels.
        upright: whether an orientation that a file notes is applied.
    """
    for split, listing in listings.items():
        seen = looks[split]
        yield from _of_masks(split, listing)
        of = ""
        if seen.num_looked_at < listing.num_images:
            of = f" of the {seen.num_looked_at:,} looked at"
        if seen.num_damaged:
            shown = first_names([f"{name} ({why})" for name, why in seen.damaged.items()])
            yield Finding(
                "odd",
                f"{split}: {images_in_words(seen.num_damaged)}{of} cannot be opened: {shown}",
                remedies=(
                    Remedy("verify_data", "imagefolder", "names all of them", also={"data_root": root}),
                    Remedy("data.skip_damaged", note="goes on without them"),
                ),
            )
        if seen.turned:
            yield _of_orientation(split, seen, of, upright)
        if seen.slivers:
            found = f"{images_in_words(len(seen.slivers))}{of} far longer than wide"
            yield Finding("odd", f"{split}: {found}: {first_names(seen.slivers)}")
        if seen.huge:
            found = f"{images_in_words(len(seen.huge))}{of} of more than 50 megapixels, slow to decode"
            yield Finding("odd", f"{split}: {found}: {first_names(seen.huge)}")
        if deep := sum(seen.modes[mode] for mode in _GREY_OF_16_BITS):
            found = f"{images_in_words(deep)}{of} in grey of 16 bits"
            yield Finding("odd", f"{split}: {found}, read by the upper 8: dark where fewer are in use")
        if deep := sum(seen.modes[mode] for mode in _OF_NO_KNOWN_WHITE):
            found = f"{images_in_words(deep)}{of} with numbers of 32 bits"
            yield Finding("odd", f"{split}: {found}, which may not say which of them is white")
        side = seen.median_side
        fitting = next((size for size in _SIZES if size >= (side or 0)), _SIZES[-1])
        if split in ("train", ALL) and side is not None and side * 2 < image_size and image_size > _LEAST:
            yield Finding(
                "odd",
                f"{split}: half of the images have a shorter side of {side} pixels or less, and are enlarged "
                f"for crops of {image_size}",
                # Below 64 pixels nets are of another family, which a size alone does not change.
                hint=None if fitting < image_size else "the preset imagefolder/32 has a net for smaller ones",
                remedies=(Remedy("data.dataset.image_size", fitting),) if fitting < image_size else (),
            )


def _of_orientation(split: str, seen: HeaderSummary, of: str, upright: bool) -> Finding:
    more = ", ..." if seen.turned > 1 else ""
    are, side = ("is", "its side") if seen.turned == 1 else ("are", "their side")
    found = f"{split}: {images_in_words(seen.turned)}{of} with an EXIF orientation"
    if upright:
        return Finding("note", f"{found} {are} turned upright: {seen.first_turned}{more}")
    return Finding(
        "odd",
        f"{found} {are} read as stored, lying on {side}: {seen.first_turned}{more}",
        remedies=(Remedy("data.dataset.orientation", "upright", "turns them, wherever the net is used"),),
    )


def _of_masks(split: str, listing: Listing) -> Iterator[Finding]:
    """Files beside photographs that are drawn over them, such as ``benign (1)_mask.png``."""
    found = []
    for names in listing.images.values():
        stems = {name.rpartition(".")[0] for name in names}
        for name in names:
            match = _MASK.fullmatch(name.rpartition(".")[0])
            if match and match[1] in stems:
                found.append(name)
    if found:
        masks = f"{images_in_words(len(found))} called as masks of others are trained on like any other"
        yield Finding("odd", f"{split}: {masks}: {first_names(found)}")
