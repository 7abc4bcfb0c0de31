"""JSON and TOML that lay on a disk, as values of the types that they should have: the one door for all of it.

Whatever a file holds, what comes out has the types that were asked for, or an error names the file and the
field. Extra keys, as later versions write them, are let through unseen.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from rescli.errors import CheckpointError, RescliError
from rescli.files import read_file
from rescli.foreign_text import readable
from rescli.remedy import Remedy

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

__all__ = [
    "MOST_BYTES",
    "Refusal",
    "as_stored",
    "dotted",
    "parse_json",
    "parse_toml",
    "read_stored",
]

T = TypeVar("T")

Refusal = Callable[[str], Exception]
"""Makes an error of what is wrong, such as ``results.val.loss is NaN; allowed: a finite number``."""

MOST_BYTES = 256_000_000
"""The most of a text that is read whole; rescli's own are a thousandth of that."""
_MOST_DEPTH = 64
_MOST_WHOLE = 2**63
_SHOWN = 40
"""Letters of a wrong value that a message repeats."""

_HALF_LETTER = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of a UTF-16 pair on their own. U+DC80 to U+DCFF are let through: names of files that are no UTF-8
stand so in JSON."""

_ODD = re.compile(r"\d{19}|\\u[dD]")

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


def read_stored(
    path: Path,
    kind: type[T],
    *,
    error: type[RescliError] = CheckpointError,
    hint: str | None = None,
    remedy: Remedy | Sequence[Remedy] = (),
) -> T:
    """The value of a JSON file, of the type that it should have.

    Args:
        path: of the file.
        kind: what it should hold, such as a TypedDict.
        error: what to raise.
        hint: what to do where it is missing or damaged.
        remedy: settings that mend that.

    Raises:
        CheckpointError: missing, unreadable, not JSON, or of another type; names the field.
    """
    try:
        value = parse_json(read_file(path, most=MOST_BYTES))
    except FileNotFoundError as reason:
        raise error(f"no such file: {path}", hint=hint, remedy=remedy) from reason
    except (OSError, ValueError) as reason:
        why = getattr(reason, "strerror", None) or reason
        raise error(f"{path} is damaged: {why}", hint=hint, remedy=remedy) from reason
    return as_stored(
        value, kind, lambda wrong: error(f"{path} is damaged: {wrong}.", hint=hint, remedy=remedy)
    )


def as_stored(value: object, kind: type[T], refused: Refusal) -> T:
    """A value that was read, once it has the type that it should have; the value itself, not a copy.

    Args:
        value: of JSON or TOML.
        kind: the type.
        refused: makes the error of a text that names the field, what it is, and what is allowed.

    Raises:
        CheckpointError: or whatever ``refused`` makes, where the value has another type.
    """
    from pydantic import ValidationError

    try:
        _adapter(cast(Any, kind)).validate_python(value, strict=True)
    except ValidationError as error:
        try:
            lines = error.errors(include_url=False)
        except UnicodeEncodeError:  # pydantic takes no key that is no UTF-8 into its words
            raise refused("a key that is no UTF-8 holds a value of another type") from error
        raise refused(_wrong(lines[0])) from error
    except RecursionError as error:
        raise refused("it is nested too deep") from error
    # What no type names may hold anything; but nobody could write it, or compute with it.
    if (place := _not_finite(value)) is not None:
        raise refused(f"{dotted(place)} is no finite number")
    return cast(T, value)


def parse_json(text: bytes | str, *, flat: bool = False) -> Any:
    """The value of a JSON text that can be written, printed and computed with again.

    Numbers that are not finite are let through, for whoever knows the field to refuse; but for those no
    message could name.

    Args:
        text: UTF-8 where it is bytes.
        flat: whoever asks looks at each level himself, so that the depth needs no look here.

    Raises:
        ValueError: no JSON; a key that stands twice in an object; nested deeper than 64; a whole number
            beyond 64 bits; half a letter.
    """
    try:
        whole = text if isinstance(text, str) else text.decode("utf-8-sig")
        value = json.loads(whole, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    # Most texts need no second look: they have few brackets, no 19 digits in a row, and no half letters.
    deep = not flat and whole.count("[") + whole.count("{") > _MOST_DEPTH
    if deep or _ODD.search(whole):
        _check(value)
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """The table of a TOML text.

    Raises:
        ValueError: no TOML, or nothing that can be computed with, as ``parse_json``.
    """
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    _check(table)
    return table


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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {readable(twice)!r} stands twice in one object")
    return made


def _not_finite(value: object) -> tuple[str | int, ...] | None:
    """The way to the first number that is not finite; None where all are."""
    left: list[tuple[tuple[str | int, ...], object]] = [((), value)]
    while left:
        place, one = left.pop()
        if isinstance(one, float):
            if not math.isfinite(one):
                return place
        elif isinstance(one, dict):
            left += [((*place, str(key)), inner) for key, inner in one.items() if not isinstance(inner, str)]
        elif isinstance(one, list):
            left += [
                ((*place, number), inner) for number, inner in enumerate(one) if not isinstance(inner, str)
            ]
    return None


def _check(value: object) -> None:
    """Refuse what has types as it should and can still not be used."""
    level: list[object] = [value]
    for _ in range(_MOST_DEPTH):
        below: list[object] = []
        for one in level:
            if isinstance(one, Mapping):
                below += [*one, *one.values()]
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str):
                if not one.isascii() and _HALF_LETTER.search(one):
                    raise ValueError(f"{readable_start(one)} holds half a letter, which no text has")
            elif isinstance(one, int) and not -_MOST_WHOLE <= one < _MOST_WHOLE:
                raise ValueError("it holds a whole number of more than 64 bits")
        if not below:
            return
        level = below
    raise ValueError(f"it is nested deeper than {_MOST_DEPTH}")


def readable_start(text: str) -> str:
    """The beginning of a text as every terminal takes it, in quotes.

    Example:
        >>> readable_start("caf\\ud800")
        "'caf\\\\ud800'"
    """
    start = text[:_SHOWN]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in start)
    return f"'{shown}{'...' * (len(text) > _SHOWN)}'"


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _wrong(line: ErrorDetails) -> str:
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
        return readable_start(value)
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return str(value)[:_SHOWN]
