"""What errors of the library say of settings, in the words of the command line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from rescli.cli.remedies import COMMANDS, as_flag, worded
from rescli.errors import RescliError
from rescli.remedy import Remedy

__all__ = ["in_flags"]


@contextmanager
def in_flags(said: Mapping[str, str], parameters: Collection[str] | None = None) -> Iterator[None]:
    """Words the errors of the block as the flags that were typed.

    A hint that is no command and its remedies become one line, ``these look like resnet-32: try --model
    resnet-32``; the hint says whether all of them are needed. A command alone follows it without a ``try``:
    ``begin again with: rescli train runs/x/spec.toml``; beside others it keeps a line of its own, of which
    it can be told where it ends, and so do flags of which one is noted as ``or`` something else. A single
    remedy reads on with its note where that begins with ``for`` or ``or``: ``--format onnx for int8``.

    Args:
        said: words of the library to those of the command line, ``{"the format timm": "--format timm"}``.
        parameters: those of the command that was typed, where they are known.

    Example:
        >>> from rescli.errors import UsageError
        >>> try:
        ...     with in_flags({"net.pt exists": "--out net.pt exists"}):
        ...         raise UsageError("net.pt exists and is not overwritten.")
        ... except UsageError as error:
        ...     print(error)
        --out net.pt exists and is not overwritten.
    """
    try:
        yield
    except RescliError as error:
        message = worded(error)
        for words, typed in said.items():
            message = message.replace(words, typed)
        error.args = (message,)
        if error.hint and error.remedies and not error.hint.startswith("rescli "):
            if one := _one_line(error.hint, error.remedies, parameters):
                error.hint, error.remedies = one, ()
        elif len(error.remedies) == 1 and (read_on := _read_on(error.remedies[0], parameters)):
            error.hint, error.remedies = read_on, ()
        raise


def _one_line(hint: str, remedies: Sequence[Remedy], parameters: Collection[str] | None) -> str | None:
    """None where it would not be plain where a command ends, or which flags go together."""
    if len(remedies) == 1 and remedies[0].setting in COMMANDS:
        return f"{hint}: {as_flag(remedies[0], parameters)}"
    notes = [remedy.note for remedy in remedies if remedy.note]
    if any(remedy.setting in COMMANDS for remedy in remedies) or any(map(_is_another_way, notes)):
        return None
    flags = " ".join(as_flag(replace(remedy, note=""), parameters) for remedy in remedies)
    return f"{hint}: try {flags}" + (f" ({'; '.join(notes)})" if notes else "")


def _is_another_way(note: str) -> bool:
    return note.startswith(("or ", "then "))


def _read_on(remedy: Remedy, parameters: Collection[str] | None) -> str | None:
    flag = as_flag(replace(remedy, note=""), parameters)
    if remedy.note.startswith("for "):
        return f"{flag} {remedy.note}"
    return f"{flag}, {remedy.note}" if remedy.note.startswith("or ") else None
