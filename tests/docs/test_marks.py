"""What stands above the blocks of the handbook, and which languages they are in: nothing escapes unseen."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from handbook import PAGES, ROOT, blocks_of

LANGUAGES = {"sh", "python", "text", "toml", "json"}
"""The first two are run; any other spelling of them would not be."""

REASONS = re.compile(
    r"network|GPU|hours|days|minute|installs|several machines|another machine|the real|another program"
)
"""Why a block may stay unrun; `<!-- not run: REASON -->` right above its fence says it."""


@pytest.mark.parametrize("page", PAGES)
def test_every_mark_stands_above_a_block(page: str) -> None:
    """So that none is written for nothing, and each belongs to the block below it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    marks = re.findall(r"^<!-- (not run|run|exit code): (.*) -->$", text, re.MULTILINE)
    assert marks == [mark for block in blocks_of(page) for mark in block.marks.items()]


def test_each_of_two_marks_belongs_to_its_own_block(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: hours -->\n```sh\nrescli a\n```\n\ntext\n\n"
        "<!-- exit code: 3 -->\n```sh\nrescli b\n```\n\n```sh\nrescli c\n```\n"
    )
    assert [block.marks for block in blocks_of(str(page))] == [{"not run": "hours"}, {"exit code": "3"}, {}]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_known_language(page: str) -> None:
    blocks = blocks_of(page)
    assert {block.line: block.language for block in blocks if block.language not in LANGUAGES} == {}
    fences = re.findall(r"^\s*(?:```|~~~)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(blocks), "a fence that is not seen as one"


@pytest.mark.parametrize("page", PAGES)
def test_what_is_shown_as_toml_or_json_can_be_read(page: str) -> None:
    for block in blocks_of(page):
        if block.language == "toml":
            tomllib.loads(block.code)
        elif block.language == "json":
            json.loads(block.code)


@pytest.mark.parametrize("page", PAGES)
def test_a_block_that_is_not_run_says_why(page: str) -> None:
    unrun = {block.line: block.marks["not run"] for block in blocks_of(page) if "not run" in block.marks}
    assert {line: why for line, why in unrun.items() if not REASONS.search(why)} == {}


def test_few_blocks_are_not_run() -> None:
    blocks = [b for page in PAGES for b in blocks_of(page) if b.language in ("python", "sh")]
    unrun = [
        f"{block.page}:{block.line}: {block.marks['not run']}" for block in blocks if "not run" in block.marks
    ]
    assert len(unrun) <= len(blocks) // 5, "\n".join(unrun)
