"""How long a file is, how full a folder, and what neither is called."""

from __future__ import annotations

import re
from collections import Counter

from house import FILES, ROOT, TREES, module_of


def test_no_drawer_for_odds_and_ends() -> None:
    names = re.compile(r"(^|[._])(utils?|helpers?|common|misc)([._]|$)")
    assert [module for module in TREES if names.search(module)] == []


def test_no_file_needs_scrolling() -> None:
    lengths = {module_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {module: length for module, length in lengths.items() if length > 300} == {}


def test_no_folder_needs_a_map() -> None:
    folders = Counter(path.parent for path in FILES if path.stem != "__init__")
    full = {folder.relative_to(ROOT).as_posix() for folder, files in folders.items() if files > 15}
    assert full == set()


def test_a_prefix_that_three_files_share_is_a_folder() -> None:
    prefixes = Counter((path.parent, path.stem.split("_")[0]) for path in FILES if path.stem[0] != "_")
    shared = {
        f"{folder.relative_to(ROOT).as_posix()}/{prefix}_*"
        for (folder, prefix), files in prefixes.items()
        if files > 2
    }
    assert shared == set()
