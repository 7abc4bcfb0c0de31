"""Durations as people type and read them."""

from __future__ import annotations

import re

from rescli.errors import UsageError

__all__ = ["format_seconds", "parse_seconds"]

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def parse_seconds(text: str) -> float:
    """Read a duration.

    Args:
        text: hours, minutes and seconds, or a plain number of seconds.

    Returns:
        Seconds, more than 0.

    Raises:
        UsageError: it is no duration, or zero.

    Example:
        >>> parse_seconds("20m"), parse_seconds("1h30m"), parse_seconds("45")
        (1200.0, 5400.0, 45.0)
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    whole = "".join(number + unit for number, unit in parts)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
    elif parts and whole == text.replace(" ", ""):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    else:
        raise UsageError(f"{text!r} is not a duration; write 90s, 20m or 1h30m.")
    if seconds <= 0:
        raise UsageError(f"a duration must be longer than 0, got {text!r}.")
    return seconds


def format_seconds(seconds: float) -> str:
    """Write a duration in two units at most.

    Example:
        >>> format_seconds(8.31), format_seconds(725), format_seconds(12000), format_seconds(190000)
        ('8.3 s', '12 min 5 s', '3 h 20 min', '2 d 4 h')
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
