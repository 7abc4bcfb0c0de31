"""The program: commands mounted from the registry, and errors turned into a message and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rescli import __version__, registry
from rescli.errors import RescliError, UsageError

__all__ = ["build_app", "main"]


def build_app() -> typer.Typer:
    """Every command of the group ``rescli.commands``; one that cannot be loaded is a line of warning."""
    app = typer.Typer(
        name="rescli",
        help="Train, evaluate, compare and export the nets of Deep Residual Learning; believe the numbers.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in registry.names("commands"):
        try:
            command = registry.load("commands", name)
        except UsageError as error:
            print(f"warning: {error}", file=sys.stderr)
            continue
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"rescli {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        # A callback, because the body of a group runs only once a command was named.
        typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the console script."""
    try:
        build_app()()
    except RescliError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(
                f"  try: {error.hint}" if error.hint.startswith("rescli ") else f"  {error.hint}",
                file=sys.stderr,
            )
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
