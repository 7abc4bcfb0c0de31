"""Every command that the documents show exists, with every flag that is shown with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import handbook
import pytest
import shell_lines
import typer.main

from rescli.cli.app import build_app

ROOT = Path(__file__).resolve().parents[2]
APP = build_app()


def _shown(page: str) -> Iterator[tuple[str, list[str]]]:
    """Where each command stands, and the words after ``rescli``: in blocks, run or not, and in the text."""
    for block in handbook.blocks_of(page):
        if block.language == "sh":
            for line, text in shell_lines.lines_of(block.code, block.line):
                for call in shell_lines.calls(line, text):
                    yield f"line {line}", call.words
    for text in handbook.inline_commands(page):
        for call in shell_lines.calls(0, text):
            yield f"`{text}`", call.words


def _problem(words: list[str]) -> str | None:
    if words[:1] and words[0].isupper():  # COMMAND stands for any of them
        return None
    try:
        command, words = shell_lines.command_of(words, APP)
    except LookupError as error:
        return str(error)
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    given = [word.partition("=")[0] for word in words if word.startswith("--")]
    unknown = [word for word in given if word.rstrip(",.;:") not in {*known, "--help"}]
    return f"{command.name} has no {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize("page", handbook.PAGES)
def test_the_commands_of_a_page_exist(page: str) -> None:
    assert [f"{where}: {problem}" for where, words in _shown(page) if (problem := _problem(words))] == []


def test_commands_are_found_in_blocks_and_in_the_text() -> None:
    found = dict(_shown("README.md"))
    assert ["doctor"] in found.values()
    assert sum(where.startswith("line") for where in found) > 15


def test_a_flag_that_is_none_is_noticed() -> None:
    assert _problem(["train", "quickstart", "--depht", "20"]) == "train has no --depht"
    assert _problem(["trian"]) == "there is no trian"
    assert _problem(["models", "show", "resnet-20"]) is None


def test_every_command_is_in_the_page_of_commands() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    commands = typer.main.get_command(APP).commands  # type: ignore[attr-defined]
    assert [name for name in commands if f"| `{name}` |" not in page] == []
