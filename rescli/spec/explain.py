"""What pydantic says of a value that a spec refuses, in rescli's words: what is allowed, what was given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rescli.errors import nearest

__all__ = ["explain"]

_WHOLE, _NUMBER, _SWITCH = "must be a whole number", "must be a number", "must be true or false"
_LIST, _SECTION = "must be a list, such as [1, 2]", "must be a section of keys"

_RULES = {
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "finite_number": "must be a finite number",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _SWITCH,
    "bool_parsing": _SWITCH,
    "string_type": "must be a text",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "model_type": _SECTION,
    "dict_type": _SECTION,
    "missing": "is required.",
}
"""Pydantic's type of an error to our words; braces take from its context."""


def explain(error: ValidationError, *, whole: str = "spec") -> str:
    """All mistakes in one line, each with its dotted key.

    Args:
        error: what pydantic found.
        whole: what to call a mistake that belongs to no key.
    """
    return "; ".join(_explain_one(line, whole) for line in error.errors(include_url=False))


def _explain_one(line: ErrorDetails, whole: str) -> str:
    context, path = line.get("ctx", {}), _dotted(line["loc"])
    if line["type"] == "unknown_key":
        within = f"{path}." if path else ""
        text = f"{within}{context['key']}: unknown key; allowed here: {', '.join(context['allowed'])}."
        return text + (f" Did you mean {within}{context['nearest']}?" if context["nearest"] else "")
    where = path or context.get("section", whole)
    if line["type"] == "missing":
        return f"{where}: {_RULES['missing']}"
    given = line["input"]
    plain = isinstance(given, str | int | float | bool | list)
    message = _message(line, context)
    # A name that the message quotes already needs no second mention.
    quoted = isinstance(given, str) and repr(given) in message
    shown = f" (given: {given!r})" if plain and not quoted else ""
    return f"{where}: {message}{shown}{_guess(line, context, given)}"


def _dotted(place: tuple[str | int, ...]) -> str:
    """``schedule.milestones[0]``"""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _message(line: ErrorDetails, context: Mapping[str, Any]) -> str:
    if line["type"] == "literal_error":
        return f"must be one of {', '.join(_choices(context))}"
    if line["type"] in _RULES:
        bounds = {
            name: int(bound) if isinstance(bound, float) and bound.is_integer() else bound
            for name, bound in context.items()
        }
        return _RULES[line["type"]].format_map(bounds)
    return re.sub(r"^Input should ", "must ", line["msg"].removeprefix("Value error, "))


def _choices(context: Mapping[str, Any]) -> list[str]:
    """The single names in pydantic's ``'auto', 'fp32', 'bf16' or 'fp16'``."""
    return re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]


def _guess(line: ErrorDetails, context: Mapping[str, Any], given: object) -> str:
    if line["type"] != "literal_error" or not isinstance(given, str):
        return ""
    guess = nearest(given, _choices(context))
    return f". Did you mean {guess!r}?" if guess is not None else ""
