"""JSON and TOML that lay on a disk, as values of the types that they should have: the one door for all of it.

Whatever a file holds, what comes out has the types that were asked for, or an error names the file and the
field. Extra keys, as later versions write them, are let through unseen.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from rescli.errors import CheckpointError, RescliError
from rescli.files import read_file
from rescli.foreign_text import readable
from rescli.remedy import Remedy
from rescli.stored.mistakes import dotted, in_words, start_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "MOST_BYTES",
    "Refusal",
    "as_stored",
    "parse_json",
    "parse_toml",
    "read_stored",
    "rows_as_stored",
]

T = TypeVar("T")

Refusal = Callable[[str], Exception]
"""Makes an error of what is wrong, such as ``results.val.loss is NaN; allowed: a finite number``."""

MOST_BYTES = 256_000_000
"""The most of a text that is read whole; rescli's own are a thousandth of that."""
_MOST_DEPTH = 64
_MOST_WHOLE = 2**63
_TOO_LARGE = "it holds a whole number of more than 64 bits"

_UNPAIRED = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of a UTF-16 pair on their own. U+DC80 to U+DCFF are let through: names of files that are no UTF-8
stand so in JSON."""


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
            raise refused(
                "a key with an unpaired surrogate, which no text has, holds a value of another type"
            ) from error
        raise refused(in_words(lines[0])) from error
    except RecursionError as error:
        raise refused("it is nested too deep") from error
    # What no type names may hold anything; but nobody could write it, or compute with it.
    if (place := _not_finite(value)) is not None:
        raise refused(f"{dotted(place)} is no finite number")
    return cast(T, value)


def rows_as_stored(rows: list[Any], kind: type[T], refused: Callable[[int, str], Exception]) -> list[T]:
    """``as_stored`` of many values of one type, at a fraction of its time for each.

    Args:
        rows: of JSON.
        kind: the TypedDict that each should be.
        refused: makes the error of the place of a row, from 0, and a text as of ``as_stored``.

    Raises:
        CheckpointError: or whatever ``refused`` makes, where a row has another type.
    """
    from pydantic import ValidationError

    try:
        _adapter(cast(Any, list[kind])).validate_python(rows, strict=True)  # type: ignore[valid-type]
        # Pydantic looked at the keys that the type names; later versions' keys may hold anything.
        known = kind.__annotations__.keys()
        left: Iterable[int] = (place for place, row in enumerate(rows) if not row.keys() <= known)
    except (ValidationError, RecursionError):
        left = range(len(rows))
    for place in left:
        as_stored(rows[place], kind, lambda wrong, place=place: refused(place, wrong))  # type: ignore[misc]
    return rows


def parse_json(text: bytes | str, *, flat: bool = False) -> Any:
    """The value of a JSON text that can be written, printed and computed with again.

    Numbers that are not finite are let through, for whoever knows the field to refuse; but for those no
    message could name.

    Args:
        text: UTF-8 where it is bytes.
        flat: whoever asks looks at each level himself, so that the depth needs no look here.

    Raises:
        ValueError: no JSON; a key that stands twice in an object; nested deeper than 64; a whole number
            beyond 64 bits; an unpaired surrogate.
    """
    try:
        whole = text if isinstance(text, str) else text.decode("utf-8-sig")
        value = _DECODER.decode(whole)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    # Most texts need no second look: they have few brackets, and no escape of a surrogate.
    deep = not flat and whole.count("[") + whole.count("{") > _MOST_DEPTH
    if deep or "\\ud" in whole or "\\uD" in whole:
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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {readable(twice)!r} stands twice in one object")
    return made


def _whole(digits: str) -> int:
    whole = int(digits)
    if len(digits) > 18 and not -_MOST_WHOLE <= whole < _MOST_WHOLE:
        raise ValueError(_TOO_LARGE)
    return whole


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_whole)
"""Made once: to make one takes longer than to parse a line of metrics."""


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
                if not one.isascii() and (found := _UNPAIRED.search(one)):
                    raise ValueError(
                        f"{start_of(one)} holds an unpaired surrogate, U+{ord(found.group()):04X}, "
                        "which no text has"
                    )
            elif isinstance(one, int) and not -_MOST_WHOLE <= one < _MOST_WHOLE:
                raise ValueError(_TOO_LARGE)
        if not below:
            return
        level = below
    raise ValueError(f"it is nested deeper than {_MOST_DEPTH}")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
