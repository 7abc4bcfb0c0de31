"""The lines of a block of shell, run one after another: ``rescli`` in this process, the rest by the shell."""

from __future__ import annotations

import glob
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import typer.main

_JOINTS = ("&&", "||", "|", ";")
_VARIABLE = re.compile(r"([A-Z_]+)=(.*)", re.DOTALL)

_ADDED = {
    "device": ("--device", "cpu"),
    "workers": ("--workers", "0"),
    "check_images": ("--check-images", "10"),
}
"""Parameter of a command to the flag that it gets where a page has none; no result depends on it."""

_REPLACED = {"seeds": ["--seeds", "1"], "nproc": []}
"""Parameter to what stands for it and its value: one seed, one process."""


@dataclass(frozen=True)
class Call:
    """One command of rescli.

    Attributes:
        line: where it stands.
        words: what follows ``rescli``.
        variables: of the environment, set before it.
        before: what is piped into it, as the shell takes it.
        into: the file that its stdout goes to.
    """

    line: int
    words: list[str]
    variables: dict[str, str]
    before: str = ""
    into: str = ""


def lines_of(code: str, first: int) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, continued ones joined."""
    begun, text = first, ""
    for number, line in enumerate(code.splitlines(), start=first):
        begun = begun if text else number
        text += line.removesuffix("\\")
        if not line.endswith("\\"):
            if text.strip():
                yield begun, text
            text = ""


def calls(line: int, text: str) -> list[Call]:
    """The commands of rescli in a line; ``others`` gives the rest of it."""
    found = []
    for joint, variables, words in _commands(text):
        if words[:1] == ["rescli"]:
            place = words.index(">") if ">" in words else len(words)
            before = re.split(r"\|\s*rescli ", text)[0].strip() if joint == "|" else ""
            into = "".join(words[place + 1 : place + 2])
            found.append(Call(line, words[1:place], variables, before, into))
    return found


def others(text: str) -> list[str]:
    """What else a line does: its other commands, but those that are piped into one of rescli."""
    commands = _commands(text)
    followers = [*commands[1:], ("", {}, [])][: len(commands)]
    return [
        " ".join([*(f"{name}={value}" for name, value in variables.items()), *words])
        for (_, variables, words), (joint, _, following) in zip(commands, followers, strict=True)
        if words[:1] != ["rescli"] and not (joint == "|" and following[:1] == ["rescli"])
    ]


def _commands(text: str) -> list[tuple[str, dict[str, str], list[str]]]:
    """Of each command of a line: what joins it to the one before, the variables set for it, its words."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="&|;>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    parts: list[tuple[str, list[str]]] = [("", [])]
    for word in lexer:
        if word in _JOINTS:
            parts.append((word, []))
        else:
            parts[-1][1].append(word)
    commands = []
    for joint, words in parts:
        variables = {}
        while words and (given := _VARIABLE.fullmatch(words[0])):
            variables[given[1]] = given[2]
            words = words[1:]
        if variables or words:
            commands.append((joint, variables, words))
    return commands


def command_of(words: list[str], app: Any) -> tuple[Any, list[str]]:
    """The command that is meant, and the words after its name.

    Raises:
        LookupError: there is none of that name.
    """
    command: Any = typer.main.get_command(app)
    while subcommands := getattr(command, "commands", None):
        if not words or words[0].startswith("-"):
            break
        if words[0] not in subcommands:
            raise LookupError(f"there is no {words[0]}")
        command, words = subcommands[words[0]], words[1:]
    return command, words


def in_bash(text: str) -> str:
    """What a line of other commands prints; ``python`` is this one."""
    here = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        ["bash", "-ec", text], env={**os.environ, "PATH": here}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{text}: exit code {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout


def run(call: Call, rescli: Callable[..., Any], app: Any, *, code: int = 0) -> None:
    """Run one command, made quick.

    Args:
        call: the command.
        rescli: the fixture that runs it in this process.
        app: what ``build_app`` gives.
        code: the exit code that is expected.
    """
    words = [one for word in call.words for one in (sorted(glob.glob(word)) if "*" in word else ()) or [word]]
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, call.variables))
        if call.before:
            stack.enter_context(mock.patch.object(sys, "stdin", io.StringIO(in_bash(call.before))))
        answer = rescli(*_quick(words, app))
    assert answer.code == code, f"exit code {answer.code}: {answer.err[-2000:]}"
    if call.into:
        Path(call.into).write_text(answer.out)


def _quick(words: list[str], app: Any) -> list[str]:
    command, _ = command_of(words, app)
    options = {param.name: param.opts for param in command.params}
    added = [
        word
        for name, flag in _ADDED.items()
        if name in options and not set(options[name]) & set(words)
        for word in flag
    ]
    words = [*words, *added]
    for name, instead in _REPLACED.items():
        for option in set(options.get(name, ())) & set(words):
            place = words.index(option)
            words[place : place + 2] = instead
    return words
