"""What a look at one part of a machine gives: sentences with a level, and the facts behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rescli.errors import first_line
from rescli.foreign_text import readable
from rescli.remedy import Remedy

__all__ = ["LEVELS", "Fact", "Finding", "Level", "Part", "looked_at", "size"]

Level = Literal["ok", "note", "problem"]
"""Good; worth to know, such as why it is slower than it could be; and what makes a training fail or wrong."""

LEVELS: tuple[Level, ...] = ("ok", "note", "problem")
"""The gravest last."""

Fact = str | int | float | bool | None | list[str]


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: how grave it is.
        text: a sentence that can stand alone.
        hint: what to do, where that is no setting.
        remedies: settings that change it.
    """

    level: Level
    text: str
    hint: str = ""
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True)
class Part:
    """One part of the machine.

    Attributes:
        name: in a word or two.
        findings: in the order in which they are read.
        facts: what they were made of, for programs.
    """

    name: str
    findings: tuple[Finding, ...]
    facts: Mapping[str, Fact] = field(default_factory=dict)


def looked_at(name: str, look: Callable[[], Part]) -> Part:
    """What the look gives; an exception in it is one line of the report, and ends nothing else."""
    try:
        return look()
    except Exception as error:
        said = first_line(error)
        kind = type(error).__name__
        text = f"could not be looked at: {kind}{'' if said == kind else f': {readable(said)}'}"
        return Part(name, (Finding("note", text),))


def size(count: float) -> str:
    """Bytes as people read them.

    >>> size(64 * 2**20), size(25.2e9), size(812)
    ('67 MB', '25.2 GB', '812 bytes')
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            value = count / unit
            return f"{value:.0f} {name}" if value >= 100 or name in ("MB", "kB") else f"{value:.1f} {name}"
    return f"{count:.0f} bytes"
