"""Every page of the handbook does what it says: its blocks of Python and of shell run, from first to last."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import handbook
import pytest
import shell_lines
from handbook import PAGES, ROOT, Block

from rescli.cli.app import build_app

REASONS = re.compile(
    r"network|GPU|hours|days|minute|installs|several machines|another machine|the real|another program"
)
"""Why a block may stay unrun; `<!-- not run: REASON -->` right above its fence says it."""


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; each page works in a copy of its own."""
    root = tmp_path_factory.mktemp("handbook") / "filled"
    root.mkdir()
    handbook.fill(root)
    return root


@pytest.fixture
def scratch(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a page, where whatever is trained is small."""
    shutil.copytree(filled, tmp_path / "scratch")
    monkeypatch.chdir(tmp_path / "scratch")
    handbook.small(monkeypatch)
    return tmp_path / "scratch"


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run_in_order(
    page: str, scratch: Path, rescli: Callable[..., Any], run_block: Callable[..., Any]
) -> None:
    handbook.fill_for(page, scratch)
    names: dict[str, Any] = {"__name__": "page"}
    for block in handbook.blocks_of(page):
        if "not run" in block.marks:
            continue
        if block.language == "python":
            run_block(block, names)
        elif block.language == "sh":
            _run_shell(block, rescli)


def _run_shell(block: Block, rescli: Callable[..., Any]) -> None:
    for line, text in shell_lines.lines_of(block.code, block.line):
        calls = shell_lines.calls(line, text)
        try:
            if "run" in block.marks and not calls:
                shell_lines.in_bash(text)
            for call in calls:
                if call.before and "-" in call.words and "run" not in block.marks:
                    continue
                shell_lines.run(call, rescli, build_app(), code=int(block.marks.get("exit code", 0)))
        except Exception as error:
            pytest.fail(f"{block.page}:{line}: {text.strip()}\n{type(error).__name__}: {error}")


@pytest.mark.parametrize("page", PAGES)
def test_a_block_that_is_not_run_says_why(page: str) -> None:
    unrun = {
        block.line: block.marks["not run"] for block in handbook.blocks_of(page) if "not run" in block.marks
    }
    assert {line: why for line, why in unrun.items() if not REASONS.search(why)} == {}


def test_few_blocks_are_not_run() -> None:
    blocks = [b for page in PAGES for b in handbook.blocks_of(page) if b.language in ("python", "sh")]
    unrun = [
        f"{block.page}:{block.line}: {block.marks['not run']}" for block in blocks if "not run" in block.marks
    ]
    assert len(unrun) <= len(blocks) // 5, "\n".join(unrun)


@pytest.mark.parametrize("page", PAGES)
def test_every_mark_stands_above_a_block(page: str) -> None:
    """So that none is written for nothing."""
    text = (ROOT / page).read_text(encoding="utf-8")
    marks = re.findall(r"^<!-- (?:not run|run|exit code):", text, re.MULTILINE)
    assert len(marks) == sum(bool(block.marks) for block in handbook.blocks_of(page))


@pytest.mark.usefixtures("scratch")
def test_what_a_page_trains_is_small(rescli: Callable[..., Any]) -> None:
    trained = rescli("train", "he2015/resnet-1202", "--device", "cpu", "--out", "runs/c", "--json").json
    assert trained["results"]["train"]["iteration"] == 2
    assert trained["results"]["val"]["num_images"] == 40


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(
    ("marks", "line"),
    [
        ({"exit code": "4"}, "rescli show nothing.safetensors"),
        ({"run": "python"}, 'python -c \'import sybil; open("made", "w").close()\''),
        ({}, "python -c 'exit(1)'"),
        ({}, "ls photos/train/cat/*.jpg | rescli predict runs/NAME - --json > labels.json"),
        ({"run": "ls"}, "ls photos/train/cat/*.jpg | rescli predict runs/NAME - --json > labels.json"),
    ],
)
def test_what_a_mark_does(marks: dict[str, str], line: str, rescli: Callable[..., Any]) -> None:
    _run_shell(Block("page.md", "", "sh", f"{line}\n", 1, marks), rescli)
    assert Path("made").exists() == (marks == {"run": "python"})
    assert Path("labels.json").exists() == (marks == {"run": "ls"})


@pytest.mark.usefixtures("scratch")
def test_a_block_that_fails_names_its_line(rescli: Callable[..., Any]) -> None:
    block = Block("page.md", "", "sh", "rescli models\nrescli show nothing.safetensors\n", 7, {})
    with pytest.raises(pytest.fail.Exception, match=r"page.md:8: rescli show nothing.safetensors"):
        _run_shell(block, rescli)
