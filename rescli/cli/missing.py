"""A command of rescli: what is said of one without something that it needs, and how its help ends."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from rescli.cli.output.epilogs import write_epilog
from rescli.errors import UsageError

__all__ = ["Command"]


class Command(TyperCommand):
    """A command that says what it lacks, in the words of its help, and names its page of the handbook."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse them.

        Raises:
            UsageError: an argument or an option that is needed is not there.
        """
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # Which package the class is of depends on the version of typer.
            if type(error).__name__ != "MissingParameter":
                raise
            values, _, _ = self.make_parser(ctx).parse_args(args=given)
            missing = [
                param
                for param in self.get_params(ctx)
                if param.required and values.get(str(param.name)) in (None, ())
            ]
            if not missing:
                raise
            raise UsageError(
                f"{_path(ctx)} needs {_listed([_shown(param) for param in missing])}.",
                hint="\n  ".join([*map(_explained, missing), f"all options: {_path(ctx)} --help"]),
            ) from error

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write what ends its help."""
        super().format_epilog(ctx, formatter)
        write_epilog(ctx, formatter)


def _path(ctx: Any) -> str:
    """The command as it is typed where rescli is installed, however it was begun."""
    words: list[str] = []
    while ctx.parent is not None:
        words.insert(0, str(ctx.info_name))
        ctx = ctx.parent
    return " ".join(["rescli", *words])


def _shown(param: Any) -> str:
    name = param.metavar or str(param.name).upper()
    return name if param.param_type_name == "argument" else f"{param.opts[0]} {name}"


def _explained(param: Any) -> str:
    text = " ".join(str(getattr(param, "help", None) or "").split())
    return f"{_shown(param)}: {text}" if text else _shown(param)


def _listed(names: list[str]) -> str:
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
