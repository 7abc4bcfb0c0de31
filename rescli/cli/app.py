"""The program: commands mounted from the registry, and errors turned into a message and an exit code."""

from __future__ import annotations

import atexit
import errno
import inspect
import os
import sys
from collections.abc import Collection
from traceback import walk_tb
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from rescli import __version__, registry
from rescli.cli.launch import end, is_spoken_for, report_outcome
from rescli.cli.missing import Command
from rescli.cli.output.epilogs import write_epilog
from rescli.cli.output.messages import flush, say, saying_warnings
from rescli.cli.output.streams import streams_of_a_program
from rescli.cli.output.wording import in_flags
from rescli.cli.remedies import next_steps, where_more
from rescli.cli.signals import Terminated, ending_in_order
from rescli.errors import Interrupted, RescliError, UsageError, WriteError, first_line

__all__ = ["build_app", "main"]

_NO_MEMORY = (
    "error: this machine has not enough memory for it, or the process may use too little (ulimit -v)."
)

_ON_MEMORY = "out-of-memory-on-the-machine"
"""The section of the handbook on it."""

_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)

_DELETED = "error: the working directory was deleted; go to another one (cd)."

_SIGNS_OF_NO_MEMORY = ("can't start new thread", "allocate memory", "bad_alloc", "unable to mmap")
"""In messages of Python and of PyTorch, which have no type of their own."""


class _Group(TyperGroup):
    """A group whose ``--help`` does not wait for pydantic."""

    def get_params(self, ctx: Any) -> Any:
        # Typer's own flags, such as --help, have no default, and it would import pydantic to convert none.
        params = super().get_params(ctx)
        for option in params:
            if getattr(option, "is_flag", False) and option.default is None:
                option.default = False
        return params

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        super().format_epilog(ctx, formatter)
        write_epilog(ctx, formatter)


def build_app() -> typer.Typer:
    """Every command of the group ``rescli.commands``; one that cannot be loaded is a line of warning."""
    app = typer.Typer(
        name="rescli",
        cls=_Group,
        help="Train, evaluate, compare and export the nets of Deep Residual Learning; believe the numbers.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich would double the time that --help takes
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_root)
    for name in registry.names("commands"):
        try:
            command = registry.load("commands", name)
        except UsageError as error:
            say(f"warning: {error}")
            continue
        if isinstance(command, typer.Typer):
            for below in command.registered_commands:
                below.cls = Command
            app.add_typer(command, name=name, cls=_Group)
        else:
            app.command(name, cls=Command)(command)
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
    atexit.register(flush)
    with streams_of_a_program():
        _main()


def _main() -> None:
    # Pictures go to files alone, and matplotlib cannot even be imported where a notebook or another machine
    # left the name of a backend that it does not have.
    os.environ["MPLBACKEND"] = "agg"
    if not _is_somewhere():  # libraries end the process without a word of why
        _fail(_DELETED, UsageError.exit_code)
    try:
        with ending_in_order(), in_flags({}, own := _parameters()), saying_warnings():
            build_app()()
    except RescliError as error:
        # A stop that lost nothing is no error.
        begin = "" if isinstance(error, Interrupted) and error.clean else "error: "
        if not is_spoken_for(error):
            say(f"{begin}{error}{next_steps(error, own)}{where_more(error.page)}")
        end(0 if report_outcome(error) else error.exit_code)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            say(ended.code)
        end(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    except Terminated as signalled:
        _fail(f"{signalled}: stopped before it was done.", 130)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except MemoryError:
        _fail(_NO_MEMORY, RescliError.exit_code, page=_ON_MEMORY)
    except RuntimeError as error:
        if isinstance(error, RecursionError):
            _fail(f"error: {type(error).__name__}: {error}", UsageError.exit_code)
        if not any(sign in str(error) for sign in _SIGNS_OF_NO_MEMORY):
            raise
        _fail(f"{_NO_MEMORY}\n  {first_line(error)}", RescliError.exit_code, page=_ON_MEMORY)
    except ImportError as error:
        if "shared object" not in str(error):
            raise
        _fail(
            f"error: a library cannot be loaded: {error}\n"
            "  the process may use too little memory (ulimit -v), or the installation is damaged",
            UsageError.exit_code,
            page=_ON_MEMORY,
        )
    except ValueError as error:
        if not _is_of_torchs_import(error):
            raise
        _fail(
            f"error: torch cannot be imported: {first_line(error)}\n"
            "  a variable of the environment that torch reads is wrong: env | grep TORCH",
            UsageError.exit_code,
        )
    except OverflowError as error:
        # Of a number that was given, as is a RecursionError of what is nested.
        _fail(f"error: {type(error).__name__}: {error}", UsageError.exit_code)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not _is_somewhere():
            _fail(_DELETED, UsageError.exit_code)
        # What the machine refuses without any part of rescli having foreseen it.
        page = WriteError.usual_page if error.errno in _OF_DISKS else None
        _fail(f"error: {type(error).__name__}: {error}", RescliError.exit_code, page=page)


def _is_of_torchs_import(error: BaseException) -> bool:
    """Whether torch's own module raised it, before there was a torch."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return any(
        frame.f_globals.get("__name__") == "torch" and frame.f_code.co_name == "<module>" for frame in frames
    )


def _parameters() -> Collection[str] | None:
    """Those of the command that was typed, by which its flags are known; None of a group of commands."""
    try:
        command = registry.load("commands", sys.argv[1])
    except (IndexError, UsageError):
        return None
    return None if isinstance(command, typer.Typer) else inspect.signature(command).parameters.keys()


def _is_somewhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _fail(message: str, code: int, *, page: str | None = None) -> NoReturn:
    say(f"{message}{where_more(page)}")
    # Begun anew, several processes would meet the same.
    told = code == UsageError.exit_code and report_outcome(UsageError(message))
    end(0 if told else code)
