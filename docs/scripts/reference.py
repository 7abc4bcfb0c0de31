"""Writes the generated pages of the handbook: docs/reference/{commands,spec,api}.md.

python docs/scripts/reference.py            writes them
python docs/scripts/reference.py --check    names those that are out of date, exit code 1
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import api
import commands
import spec_fields

__all__ = ["PAGES", "main"]

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"commands": commands.page, "spec": spec_fields.page, "api": api.page}
"""Name of a page in docs/reference to the function that makes it."""


def main(arguments: list[str]) -> int:
    """Write or check all pages; gives back the exit code."""
    stale = []
    for name, make in PAGES.items():
        path, text = ROOT / "docs" / "reference" / f"{name}.md", make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.relative_to(ROOT).as_posix())
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8")
    print("\n".join(stale) or "all pages are up to date")
    return int("--check" in arguments and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
