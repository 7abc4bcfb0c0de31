"""Sizes, orientations and damage of the images of a split, by their first bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from rescli.data.folders.listing import Listing
from rescli.data.photos.decoding import read_header
from rescli.errors import DataError
from rescli.foreign_text import readable

__all__ = ["MOST_LOOKED_AT", "HeaderSummary", "look_at", "num_looked_at"]

MOST_LOOKED_AT = 10_000
"""Half a second's work for one core where the files are in memory."""

_LONG = 8
_HUGE_PIXELS = 50_000_000
_EVERY = 1000
_MOST_NAMED = 100


@dataclass(eq=False)
class HeaderSummary:
    """What the first bytes of images say.

    Attributes:
        num_looked_at: how many images were opened.
        damaged: those that are no images, by name, with the reason.
        turned: how many note another orientation than upright.
        first_turned: one of them.
        slivers: those that are more than eight times as long as wide, by name, with their size.
        huge: those of more than fifty million pixels.
        shorter_sides: pixels of the shorter side to how many images have it.
        modes: Pillow's names for stored pixels to how many images have it.
        formats: Pillow's names of file formats to how many images have it.
    """

    num_looked_at: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    num_damaged: int = 0
    turned: int = 0
    first_turned: str = ""
    slivers: list[str] = field(default_factory=list)
    huge: list[str] = field(default_factory=list)
    shorter_sides: Counter[int] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)

    @property
    def median_side(self) -> int | None:
        """The median of the shorter sides, in pixels; None where no image could be opened."""
        half = (sum(self.shorter_sides.values()) + 1) // 2
        for side in sorted(self.shorter_sides):
            half -= self.shorter_sides[side]
            if half <= 0:
                return side
        return None


def look_at(
    listing: Listing, *, every: bool = False, progress: Callable[[int], None] = lambda _: None
) -> HeaderSummary:
    """Open the images of a split as far as their size.

    Args:
        every: all of them; else at most ``MOST_LOOKED_AT``, evenly spread.
        progress: called with the number of images done, now and then.
    """
    names = [name for label in sorted(listing.images) for name in listing.images[label]]
    count = num_looked_at(listing, every)
    if count < len(names):
        names = [names[at * len(names) // count] for at in range(count)]
    found = HeaderSummary(num_looked_at=len(names))
    broken = set(listing.left_out.broken_links)
    for done, name in enumerate(names, start=1):
        if done % _EVERY == 0:
            progress(done)
        if readable(name) not in broken:
            _look(found, listing, name)
    progress(len(names))
    return found


def num_looked_at(listing: Listing, every: bool) -> int:
    """How many images of a split are opened."""
    return listing.num_images if every else min(listing.num_images, MOST_LOOKED_AT)


def _look(found: HeaderSummary, listing: Listing, name: str) -> None:
    shown = readable(name)
    try:
        header = read_header(listing.part.place / name)
    except DataError as error:
        found.num_damaged += 1
        if len(found.damaged) < _MOST_NAMED:
            found.damaged[shown] = str(error).partition(": ")[2] or str(error)
        return
    shorter, longer = sorted((header.width, header.height))
    found.shorter_sides[shorter] += 1
    found.modes[header.mode] += 1
    found.formats[header.format] += 1
    if header.orientation != 1:
        found.turned += 1
        found.first_turned = found.first_turned or shown
    if longer > _LONG * shorter:
        found.slivers.append(f"{shown} ({header.width}x{header.height})")
    if shorter * longer > _HUGE_PIXELS:
        found.huge.append(f"{shown} ({header.width}x{header.height})")
