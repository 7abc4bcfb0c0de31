"""Where a command may leave what it draws and writes, refused at the beginning and not at the end."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rescli.cli.output.messages import say
from rescli.errors import UsageError
from rescli.files import require_nameable, write_atomically
from rescli.foreign_text import shell_path
from rescli.plurals import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["require_picture_place", "require_writable", "write_figure"]

_MOST_NUMBERS = 50
"""Numbers in a picture that are explained beside it."""

_SUFFIXES = (".pdf", ".png", ".svg")


def require_picture_place(flag: str, path: Path | None) -> None:
    """Refuse a picture whose kind is unknown or that could not be written.

    Raises:
        UsageError: says which flag, and why.
    """
    if path is None:
        return
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{flag} {path}: a picture ends in one of {', '.join(_SUFFIXES)}.")
    require_writable(path)


def require_writable(path: Path) -> None:
    """Refuse a file that could not be written.

    Raises:
        UsageError: no such folder, a read-only one, a folder of that name, or a name that no file can have.
    """
    require_nameable(path)
    folder = path.absolute().parent
    if not os.path.isdir(folder):
        raise UsageError(f"no such folder: {path.parent}", hint=f"mkdir -p {shell_path(path.parent)}")
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise UsageError(f"{path} cannot be written: it is a folder, or lies in one that is read-only.")


def write_figure(path: Path, figure: Figure) -> None:
    """A figure as the kind of picture that the path ends in, whole or not at all.

    Says what the numbers in it stand for, where no installed font has the letters of a name.
    """
    written = io.BytesIO()
    figure.savefig(written, format=path.suffix.lower().removeprefix("."))
    write_atomically(path, written.getvalue())
    if legend := getattr(figure, "legend_lines", ()):
        names = (
            f"{counted(len(legend), 'name')}, which {'is a number' if len(legend) == 1 else 'are numbers'}"
        )
        say(f"{path}: no installed font has the letters of {names} in it:")
        for line in legend[:_MOST_NUMBERS]:
            say(f"  {line}")
        if len(legend) > _MOST_NUMBERS:
            say(f"  ... {len(legend) - _MOST_NUMBERS} more, counted from 0 in the order of the classes")
