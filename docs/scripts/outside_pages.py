"""A hook of MkDocs: the handbook's links out of ``docs/`` work in the site as they do on the disk.

The pages of the project (README, CHANGELOG, ...) become pages of the site, below ``project/``. Other files of
the checkout, such as sources, are no pages: a link to one that exists becomes its text alone. Whatever leads
nowhere is left as it is, and ``mkdocs build --strict`` names it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

__all__ = ["on_files", "on_page_markdown"]

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {
    f"{name}.md": f"project/{name}.md" for name in ("README", "CHANGELOG", "ARCHITECTURE", "CONTRIBUTING")
}
"""File of the checkout to its page in the site."""

_PLACE = {page: file for file, page in OUTSIDE.items()}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)[ \t]*$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages of the project."""
    for file, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / file)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn the links of one page; code blocks stay as they are."""
    source = page.file.src_uri
    place = _PLACE.get(source, f"docs/{source}")  # in the checkout
    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(lambda link: _turned(link, place, source), text) for text in parts[::2]]
    return "".join(parts)


def _turned(link: re.Match[str], place: str, source: str) -> str:
    """One link of the page at ``place`` in the checkout and at ``source`` in the site."""
    picture, text, target = link.groups()
    path, hash_sign, anchor = target.partition("#")
    if not path or "://" in target or target.startswith("mailto:"):
        return link[0]
    meant = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
    if meant in OUTSIDE:
        there = OUTSIDE[meant]
    elif meant.startswith("docs/") and (ROOT / meant).is_file() and not meant.startswith("docs/scripts/"):
        there = meant.removeprefix("docs/")
    else:
        return text if (ROOT / meant).exists() else link[0]
    near = posixpath.relpath(there, posixpath.dirname(source) or ".")
    return f"{picture}[{text}]({near}{hash_sign}{anchor})"
