"""What is wrong with a value that lay on a disk, in words: which field, what it is, what it may be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rescli.foreign_text import readable

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["dotted", "in_words", "start_of"]

_SHOWN = 40
"""Letters of a wrong value that a message repeats."""

_ALLOWED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "an object",
    "none_required": "null",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "too_short": "{min_length} or more values",
    "too_long": "{max_length} values or fewer",
    "string_too_short": "a text of {min_length} letters or more",
    "string_pattern_mismatch": "a text like {pattern}",
    "allowed": "{allowed}",
}
"""What would be right, by Pydantic's type of an error; braces take from its context."""


def dotted(place: Sequence[str | int]) -> str:
    """The way to a value: ``results.val.interval95[0]``.

    Example:
        >>> dotted(("results", "val", "interval95", 0))
        'results.val.interval95[0]'
    """
    # Pydantic says "[key]" where the key itself is what is wrong.
    named = (part for part in place if part != "[key]")
    parts = (f"[{part}]" if isinstance(part, int) else f".{readable(part)}" for part in named)
    return "".join(parts).removeprefix(".")


def in_words(line: ErrorDetails) -> str:
    """One mistake: ``results.val.interval95[0] is -1; allowed: 0 to 100``."""
    where = dotted(line["loc"]) or "it"
    if line["type"] == "missing":
        return f"{where} is missing"
    context = line.get("ctx", {})
    known = _ALLOWED.get(line["type"])
    allowed = known.format_map(context) if known else line["msg"]
    return f"{where} is {_shown(line['input'])}; allowed: {allowed}"


def _shown(value: object) -> str:
    """A wrong value, cut to a few letters: what a file holds may be long."""
    if isinstance(value, str):
        return start_of(value)
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return str(value)[:_SHOWN]


def start_of(text: str) -> str:
    """The beginning of a text as every terminal takes it, in quotes.

    Example:
        >>> start_of("caf\\ud800")
        "'caf\\\\ud800'"
    """
    return f"'{readable(text[:_SHOWN])}{'...' * (len(text) > _SHOWN)}'"
