"""The handbook: where it lies on this machine, and the section of it that tells more of something."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from rescli.installation import shipped

__all__ = ["SYMPTOMS", "Section", "find_section", "handbook_page", "headings"]

SYMPTOMS = "troubleshooting.md"
"""The page whose sections are named by their anchor alone."""

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """A section of the handbook, by which people find it: the file, and the heading in it."""

    path: Path
    heading: str

    def __str__(self) -> str:
        return f'{self.path}, "{self.heading}"'


def handbook_page(name: str = "README.md") -> Path | None:
    """The file of a page, which ``docs/`` of a checkout has or the wheel; None where none came along.

    Args:
        name: as it is called in that folder; its first page is ``README.md``.
    """
    page = shipped("docs") / name
    return page if os.path.isfile(page) else None  # pathlib would raise where it may not look


def find_section(name: str) -> Section | None:
    """The section of a name; None where the handbook did not come along, or has no such section.

    Args:
        name: an anchor of ``troubleshooting.md``, or another page and its anchor: ``"data.md#cifar"``.
    """
    file, _, anchor = name.rpartition("#")
    page = handbook_page(file or SYMPTOMS)
    if page is None:
        return None
    try:
        heading = headings(page.read_text(encoding="utf-8")).get(anchor)
    except (OSError, ValueError, MemoryError):  # whoever reads an error has one already
        return None
    return Section(page, heading) if heading is not None else None


def headings(text: str) -> dict[str, str]:
    """The headings of a page by their anchors, which are those that GitHub makes.

    Example:
        >>> headings("# A `name` of it\\n\\nText.\\n\\n## In use, or locked\\n")
        {'a-name-of-it': 'A name of it', 'in-use-or-locked': 'In use, or locked'}
    """
    found: dict[str, str] = {}
    for written in _HEADING.findall(_FENCE.sub("", text)):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", written).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        later = (f"{slug}-{number}" for number in count(1))
        found[next(anchor for anchor in chain([slug], later) if anchor not in found)] = heading
    return found
