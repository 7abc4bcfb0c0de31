"""JSON documents in which one thing is not what it should be."""

from __future__ import annotations

import copy
import json
import math
import random
from dataclasses import dataclass
from typing import Any

__all__ = ["Changed", "Raw", "change", "dumps", "odd_text", "odd_value"]


class Raw(str):
    """A piece of JSON as it is to be written: what Python's own values cannot say."""


class Twice(dict[str, Any]):
    """An object that has one key twice: ``again`` is written behind the rest."""

    again: tuple[str, Any]


_TEXTS = (
    *(
        "",
        " ",
        "a",
        "0",
        "-1",
        "nan",
        "true",
        "null",
        "x" * 100_000,
        "\x1b[31mred\x1b[0m\x07\x1b]0;title\x07",
    ),
    *("\0", "a\nb", "a\rb", "\x9b2J", "\ud800", "\udcff", "\u202egnp.exe", "é\u0301\U0001f600", "﷐\uffff"),
    *("<script>alert(1)</script>", "|a|`b`|[c](d)", "$(touch canary)", "'; touch canary; '", "a/b", "-rf"),
    *(
        "../../../../etc/passwd",
        "/dev/zero",
        "/",
        ".",
        "~",
        "con",
        "file:///etc/passwd",
        "%s%n{}{0.__class__}",
    ),
)
_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        255,
        65536,
        2**31 - 1,
        2**31,
        2**32,
        2**53 + 1,
        2**63 - 1,
        2**63,
        -(2**63),
    ),
    *(
        2**64,
        Raw("1" + "0" * 400),
        Raw("9" * 5000),
        0.5,
        -0.5,
        Raw("-0.0"),
        1e308,
        Raw("1e400"),
        Raw("-1e400"),
    ),
    *(
        5e-324,
        math.nan,
        math.inf,
        -math.inf,
        [],
        {},
        [[]],
        [{}],
        [None],
        {"": None},
        {"a": 1},
        ["a"],
        [1, "a"],
    ),
    *(Raw("[" * 500 + "]" * 500), Raw("[" * 100_000 + "]" * 100_000), Raw('{"a":' * 900 + "1" + "}" * 900)),
    *(
        [0] * 10_000,
        {str(number): number for number in range(1000)},
        [math.nan],
        [-1],
        [10**30],
        [[1, 2], [3]],
    ),
)


def odd_text(dice: random.Random) -> str:
    """A text that is a trap for somebody."""
    return dice.choice(_TEXTS)


def odd_value(dice: random.Random, given: Any) -> Any:
    """Instead of ``given``: anything, or nearly the same."""
    way = dice.randrange(10)
    if way < 3:
        return odd_text(dice)
    if way < 7:
        return dice.choice(_VALUES)
    return _near(dice, given)


def _near(dice: random.Random, given: Any) -> Any:
    if isinstance(given, bool) or given is None:
        return dice.choice((not given, str(given), int(bool(given)), [given], {"a": given}))
    if isinstance(given, int | float):
        return dice.choice(
            (given + 1, -given, given * 1000, float(given), str(given), [given], given - 1, given + 0.5)
        )
    if isinstance(given, str):
        return dice.choice(
            (given.upper(), given + " ", given[:-1], given * 2, [given], given + odd_text(dice))
        )
    if isinstance(given, list):
        again = [
            given,
            given * 2,
            given[:-1],
            given[1:],
            given[::-1],
            [*given, None],
            dict.fromkeys(map(str, given)),
        ]
        return dice.choice((*again, [given], [*given, odd_text(dice)], ",".join(map(str, given))[:500]))
    return dice.choice((list(given), list(given.values()), [given], {"": given}, str(given)))


@dataclass(frozen=True)
class Changed:
    """A document that was changed.

    Args:
        text: its JSON.
        what: was done, and where.
        path: the keys to the place; empty for the whole.
        same_type: a value of the same type of JSON stands there, so that it may be sound.
        readable: it is JSON still.
    """

    text: bytes
    what: str
    path: tuple[str | int, ...] = ()
    same_type: bool = False
    readable: bool = True


def change(dice: random.Random, document: Any) -> Changed:
    """One place of a document is odd; now and then its text is."""
    if dice.randrange(12) == 0:
        return _odd_document(dice, dumps(document))
    document = copy.deepcopy(document)
    path = _place(dice, document)
    if not path:
        odd = odd_value(dice, document)
        return Changed(dumps(odd), f"the whole is {_short(odd)}", (), type(odd) is type(document))
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    key, where = path[-1], ".".join(map(str, path))
    way = dice.choice(("odd",) * 12 + ("gone", "gone", "renamed", "twice", "more"))
    if way == "gone":
        del holder[key]
        return Changed(dumps(document), f"{where} is gone", path)
    if way == "odd" or isinstance(holder, list):
        given, holder[key] = holder[key], odd_value(dice, holder[key])
        alike = _kind(given) == _kind(holder[key])
        return Changed(dumps(document), f"{where} is {_short(holder[key])}", path, alike)
    if way == "renamed":
        new = dice.choice((str(key).upper(), f"{key} ", odd_text(dice)))
        holder[new] = holder.pop(key)
        return Changed(dumps(document), f"{where} is called {_short(new)}", path)
    if way == "more":
        new = odd_text(dice)
        holder[new] = odd_value(dice, None)
        return Changed(dumps(document), f"beside {where} stands {_short(new)}", path, same_type=True)
    twice = Twice(holder)
    twice.again = (str(key), odd_value(dice, holder[key]))
    text = dumps(_replaced(document, path[:-1], twice))
    return Changed(text, f"{where} stands twice, the second time {_short(twice.again[1])}", path)


def _odd_document(dice: random.Random, text: bytes) -> Changed:
    cut = dice.randrange(len(text))
    odd = {
        "empty": b"",
        "cut": text[:cut],
        "a BOM before": b"\xef\xbb\xbf" + text,
        "in UTF-16": text.decode().encode("utf-16"),
        "no UTF-8 in it": text[:cut] + b"\xff\xfe" + text[cut:],
        "NUL bytes": bytes(len(text)),
        "garbage behind": text + b"}",
        "twice": text + text,
        "not closed": b"[" * 200_000,
        "a control character": text[:cut] + b"\x1b" + text[cut:],
    }
    name = dice.choice(sorted(odd))
    return Changed(odd[name], f"the text: {name}", (), name == "a BOM before", readable=False)


def _place(dice: random.Random, document: Any) -> tuple[str | int, ...]:
    """Any node; deeper ones are no likelier than high ones, though there are more of them."""
    path: list[str | int] = []
    while isinstance(document, dict | list) and document and dice.random() < (0.98 if not path else 0.75):
        key: str | int = (
            dice.choice(sorted(document)) if isinstance(document, dict) else dice.randrange(len(document))
        )
        path.append(key)
        document = document[key]  # type: ignore[index]
    return tuple(path)


def _kind(value: Any) -> str:
    if isinstance(value, Raw):
        return "number" if value[0] in "-0123456789" else "other"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _replaced(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    document[path[0]] = _replaced(document[path[0]], path[1:], value)
    return document


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}… ({len(text)} characters)"


def dumps(value: Any) -> bytes:
    """JSON with all that ``Raw`` and ``Twice`` say."""
    return _text(value).encode("utf-8", "surrogatepass")


def _text(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        pairs = list(value.items()) + ([value.again] if isinstance(value, Twice) else [])
        return "{" + ", ".join(f"{json.dumps(str(key))}: {_text(one)}" for key, one in pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return json.dumps(value)
