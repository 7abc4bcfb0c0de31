"""The page ``docs/reference/commands.md``: what every command says of itself at ``--help``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
import typer.main

from rescli import registry
from rescli.cli.app import build_app

__all__ = ["helps", "page"]

_WIDTH = 100

_HEAD = f"""# Every command

<!-- made by: python docs/scripts/reference.py -->
<!-- with typer {typer.__version__} -->

What `rescli COMMAND --help` prints. What a command is for, and when to use it, is on the page of its subject,
which [the table of commands](../command-line.md) names. Plugins may add commands of their own;
`rescli plugins` lists them.
"""


def page() -> str:
    """The whole page, as Markdown."""
    found = dict(helps())
    parts = [_HEAD, *(f"- [`{name}`](#{name.replace(' ', '-')})" for name in found), ""]
    for name, text in found.items():
        parts += [f"{'#' * min(3, 1 + len(name.split()))} `{name}`\n", f"```text\n{text}\n```\n"]
    return "\n".join(parts).rstrip("\n") + "\n"


def helps() -> Iterator[tuple[str, str]]:
    """Each command of rescli itself with its help, subcommands behind what they belong to."""
    root: Any = typer.main.get_command(build_app())
    root.commands = {
        name: command
        for name, command in root.commands.items()
        if registry.origin("commands", name)[0] == "rescli"
    }
    yield from _helps(root, "rescli", None)


def _helps(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    # Any width that a terminal has is overruled.
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=_WIDTH, max_content_width=_WIDTH
    )
    lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    lines = [line for line in lines if not line.startswith("Handbook: ")]  # it names a path of this machine
    yield context.command_path, "\n".join(lines).rstrip()
    for below in sorted(getattr(command, "commands", ())):
        yield from _helps(command.commands[below], below, context)
