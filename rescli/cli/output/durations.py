"""Durations as people type and read them."""

from __future__ import annotations

import re

from rescli.errors import UsageError

__all__ = ["format_seconds", "parse_seconds"]

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def parse_seconds(text: str) -> float:
    """``"20m"``, ``"90s"``, ``"1h30m"``, ``"45"`` (seconds) -> seconds.

    Raises:
        UsageError: anything else, or zero.
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
    """Two units at most: ``8.3 s``, ``12 min 5 s``, ``3 h 20 min``, ``2 d 4 h``."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
