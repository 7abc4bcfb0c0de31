"""Every command that the documents show exists, with every flag that is shown with it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from rescli.cli.app import build_app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "docs/comparing.md",
    "docs/data.md",
    "docs/evaluating.md",
    "docs/exporting.md",
    "docs/performance.md",
    "docs/training.md",
    "docs/troubleshooting.md",
]


def _calls(blocks: list[Any]) -> Iterator[tuple[int, list[str]]]:
    """(line, words after ``rescli``) of each command; the last one of a pipe or of ``&&``."""
    for block in blocks:
        if block.language == "sh":
            for number, line in enumerate(block.code.splitlines(), start=block.line):
                last = re.split(r"&&|\|", line)[-1]
                words = shlex.split(last, comments=True)
                if words[:1] == ["rescli"]:
                    yield number, words[1:]


def _problem(words: list[str]) -> str | None:
    command: Any = typer.main.get_command(build_app())
    while subcommands := getattr(command, "commands", None):
        if not words or words[0].startswith("-"):
            break
        if words[0] not in subcommands:
            return f"there is no {words[0]}"
        command, words = subcommands[words[0]], words[1:]
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    unknown = [word for word in words if word.startswith("--") and word not in known]
    return f"{command.name} has no {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_exist(page: str, blocks_of: Callable[[str], list[Any]]) -> None:
    calls = list(_calls(blocks_of(page)))
    assert calls
    assert [f"line {line}: {problem}" for line, words in calls if (problem := _problem(words))] == []


def test_a_flag_that_is_none_is_noticed() -> None:
    assert _problem(["train", "quickstart", "--depht", "20"]) == "train has no --depht"
    assert _problem(["trian"]) == "there is no trian"
    assert _problem(["models", "show", "resnet-20"]) is None


def test_every_command_is_in_the_page_of_commands() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    commands = typer.main.get_command(build_app()).commands  # type: ignore[attr-defined]
    assert [name for name in commands if f"| `{name}` |" not in page] == []
