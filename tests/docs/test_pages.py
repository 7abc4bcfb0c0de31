"""Every page of the handbook does what it says: its blocks of Python and of shell run, from first to last."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import handbook
import pytest
import shell_lines
from handbook import PAGES, Block

from rescli.cli.app import build_app

UNRUN = {
    "pip install": "it would change the environment that the tests run in",
    "pytest": "what it names are tests themselves",
    "python tests/faults/fuzz/driver.py": "an hour; tests/faults/fuzz has tests of it",
    "rescli bench": "a minute, in processes of its own; tests/cli has tests of it, and its flags are checked",
    "rescli verify resume": "a minute, in processes of its own, as above",
}
"""What commands begin with that are not run though no mark says so, and why."""


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; each page works in a copy of its own."""
    root = tmp_path_factory.mktemp("handbook") / "filled"
    root.mkdir()
    handbook.fill(root)
    return root


@pytest.fixture
def scratch(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory of a page, where whatever is trained is small."""
    shutil.copytree(filled, tmp_path / "scratch")
    monkeypatch.chdir(tmp_path / "scratch")
    monkeypatch.syspath_prepend(tmp_path / "scratch")
    handbook.small(monkeypatch)
    yield tmp_path / "scratch"
    for name, module in list(sys.modules.items()):  # the next page may have others of these names
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run_in_order(
    page: str, scratch: Path, rescli: Callable[..., Any], run_block: Callable[..., Any]
) -> None:
    handbook.fill_for(page, scratch)
    names: dict[str, Any] = {"__name__": "page"}
    with mock.patch.dict(os.environ):
        for block in handbook.blocks_of(page):
            if "not run" in block.marks:
                continue
            if block.language == "python":
                _write_file(block)
                run_block(block, names)
            elif block.language == "sh":
                _run_shell(block, rescli)


def _write_file(block: Block) -> None:
    """Where the first line of Python names a file, write it, so that the next blocks can import it."""
    if named := re.match(r"# (\w+/\w+\.py)\n", block.code):
        path = Path(named[1])
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.code, encoding="utf-8")


def _run_shell(block: Block, rescli: Callable[..., Any]) -> None:
    """Run each command of each line, or fail, unless it is one of those that stay unrun."""
    for line, text in shell_lines.lines_of(block.code, block.line):
        if exported := re.fullmatch(r"export ([A-Z_]+)=(\S+)", text):
            os.environ[exported[1]] = exported[2]  # until the end of the page
            continue
        calls, others = shell_lines.calls(line, text), shell_lines.others(text)
        try:
            if "run" in block.marks and not calls:
                shell_lines.in_bash(text)
                others = []
            for call in calls:
                if _stays_unrun(" ".join(["rescli", *call.words])):
                    continue
                if call.before and "run" not in block.marks:
                    others.append(call.before)
                    continue
                shell_lines.run(call, rescli, build_app(), code=int(block.marks.get("exit code", 0)))
            if dropped := [other for other in others if not _stays_unrun(other)]:
                raise LookupError(f"neither run, nor marked, nor one of UNRUN: {'; '.join(dropped)}")
        except Exception as error:
            pytest.fail(f"{block.page}:{line}: {text.strip()}\n{type(error).__name__}: {error}")


def _stays_unrun(command: str) -> bool:
    return "--help" not in command and f"{command} ".startswith(tuple(f"{begun} " for begun in UNRUN))


def test_each_of_the_unrun_is_on_a_page() -> None:
    code = "\n".join(b.code for page in PAGES for b in handbook.blocks_of(page) if b.language == "sh")
    assert [begun for begun in UNRUN if f"{begun} " not in code] == []


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
        ({}, "pip install nothing-of-the-kind; rescli models"),
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


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(
    "line",
    [
        "python -c 'exit(0)'",
        "mkdir made && rescli models",
        "ls cat.jpg | rescli predict runs/NAME - --json",
        "rescli models | head -1",
    ],
)
def test_a_line_that_would_be_dropped_fails(line: str, rescli: Callable[..., Any]) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"page.md:1: .*\n.*neither run, nor marked"):
        _run_shell(Block("page.md", "", "sh", f"{line}\n", 1, {}), rescli)
