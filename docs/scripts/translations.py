"""Says which translated pages are older than their original.

The first line of a translated page names its original, and the hash of what the original was then:

    <!-- translation of docs/start/tour.md at sha256:... -->

python docs/scripts/translations.py                           names the stale pages; exit code 1
python docs/scripts/translations.py --stamp docs/ko/tour.md   once that page was brought up to date
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main", "stale_pages", "stamp"]

ROOT = Path(__file__).resolve().parents[2]
TRANSLATIONS = ("docs/ko",)
"""Folders of translated pages."""

_LENGTH = 16
"""Letters of the hash that a stamp has at least."""

_FIRST_LINE = re.compile(r"<!-- translation of (\S+) at sha256:(\S+) -->")


def stale_pages(root: Path = ROOT) -> dict[str, str]:
    """Each translated page that is not up to date, and why."""
    pages = (page for folder in TRANSLATIONS for page in sorted((root / folder).rglob("*.md")))
    found = {page.relative_to(root).as_posix(): _fault(page, root) for page in pages}
    return {page: fault for page, fault in found.items() if fault}


def stamp(page: Path, root: Path = ROOT) -> None:
    """Write into the first line of a page that it is up to date with its original.

    Raises:
        ValueError: the first line names no original, or one that is not there.
    """
    text = page.read_text(encoding="utf-8")
    found = _FIRST_LINE.match(text)
    if found is None or not (root / found[1]).is_file():
        raise ValueError(
            f"{page}: the first line has to be <!-- translation of docs/PAGE.md at sha256:... -->"
        )
    line = f"<!-- translation of {found[1]} at sha256:{_digest(root / found[1])[:_LENGTH]} -->"
    page.write_text(line + text[found.end() :], encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Check or stamp; gives back the exit code."""
    parser = argparse.ArgumentParser(description="Which translated pages are older than their original.")
    parser.add_argument("--stamp", nargs="+", type=Path, default=[], metavar="PAGE", help="is up to date now")
    for page in parser.parse_args(arguments).stamp:
        stamp(page)
    stale = stale_pages()
    for page, fault in stale.items():
        print(
            f"{page}: {fault}\n"
            f"  bring it up to date, then: python docs/scripts/translations.py --stamp {page}"
        )
    return int(bool(stale))


def _fault(page: Path, root: Path) -> str:
    found = _FIRST_LINE.match(page.read_text(encoding="utf-8"))
    if found is None:
        return "its first line does not say which page it translates"
    original = root / found[1]
    if not original.is_file():
        return f"its original {found[1]} is not there"
    same = len(found[2]) >= _LENGTH and _digest(original).startswith(found[2])
    return "" if same else f"older than {found[1]}"


def _digest(page: Path) -> str:
    return hashlib.sha256(page.read_text(encoding="utf-8").encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
