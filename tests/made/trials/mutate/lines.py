"""Files of lines: JSON lines, tables, TOML."""

from __future__ import annotations

import json
import math
import random
from typing import Any

from trials.mutate.damage import damaged
from trials.mutate.values import Raw, change, odd_text, odd_value

__all__ = ["changed_json_lines", "changed_table", "changed_toml", "toml"]


def changed_json_lines(dice: random.Random, data: bytes) -> tuple[bytes, str]:
    """One row is odd, or the lines are."""
    way, lines = dice.randrange(10), data.splitlines()
    number = dice.randrange(len(lines))
    if way == 0:
        return damaged(dice, data)
    if way == 1:
        return data[:-1], "no end of the last line"
    if way == 2:
        return data.replace(
            b"\n", dice.choice((b"\r", b"\n\n", b"\r\n", b"\0", b"\x0b"))
        ), "other ends of lines"
    if way == 3:
        dice.shuffle(lines)
        return b"\n".join(lines) + b"\n", "lines in another order"
    if way == 4:
        return data * dice.choice((2, 50)), "all lines several times"
    changed = change(dice, json.loads(lines[number]))
    lines[number] = changed.text
    return b"\n".join(lines) + b"\n", f"line {number + 1}: {changed.what}"


def changed_table(dice: random.Random, text: str, separator: str) -> tuple[bytes, str]:
    """A table of labels: a cell, a row, a quote, an encoding."""
    data = text.encode()
    rows = [line.split(separator) for line in text.splitlines()]
    row, way = dice.randrange(len(rows)), dice.randrange(14)
    cell = dice.randrange(len(rows[row]))
    what = f"row {row + 1} cell {cell + 1} of {len(rows)} rows"
    if way == 0:
        return damaged(dice, data)
    if way == 1:
        odd = {
            "empty": b"",
            "UTF-16": text.encode("utf-16"),
            "Latin-1": text.replace("cat", "caté").encode("latin-1"),
            "NUL": data.replace(b"c", b"\0"),
            "one line": data.replace(b"\n", separator.encode()),
            "CR": data.replace(b"\n", b"\r"),
            "a quote": b'"' + data,
            "long": b"x" * 200_000 + data,
            "wide": (separator * 100_000).encode() + b"\n" + data,
            "head alone": data.splitlines()[0],
        }
        name = dice.choice(sorted(odd))
        return odd[name], f"the table: {name}"
    if way == 2:
        del rows[row][cell]
        what += " is gone"
    elif way == 3:
        rows[row].insert(cell, odd_text(dice))
        what += " stands before another"
    elif way == 4:
        rows.append(rows[row])
        what = f"row {row + 1} twice"
    elif way == 5:
        rows.append([rows[row][0], *rows[row - 1][1:]])
        what = f"row {row + 1} again with another label"
    elif way == 6:
        del rows[row]
        what = f"row {row + 1} is gone"
    elif way == 7:
        rows.insert(row, [])
        what = "an empty row"
    elif way == 8:
        rows[row][cell] = dice.choice(
            ("../../../etc/passwd", "/etc/passwd", "//a", "..", "~/a", "a/../b", "cat/", "\\a")
        )
        what += f" is {rows[row][cell]!r}"
    elif way == 9:
        rows[row][cell] = f'"{rows[row][cell]}'
        what += " begins with a quote"
    else:
        rows[row][cell] = odd_text(dice)
        what += f" is {rows[row][cell][:40]!r}"
    lines = (separator.join(cells) for cells in rows)
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"), what


def toml(value: Any) -> str:
    """A value of TOML, as far as TOML can say it."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=dicey(value)) if isinstance(value, str) else str(value)


def dicey(text: str) -> bool:
    """Whether it cannot be written as UTF-8."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def changed_toml(dice: random.Random, document: dict[str, Any]) -> tuple[bytes, str]:
    """A spec in TOML with one odd value, key or piece of syntax."""
    way = dice.randrange(8)
    if way == 0:
        return damaged(dice, _tables(document).encode())
    if way == 1:
        text, at = _tables(document), 0
        odd = dice.choice(
            (
                "=",
                "[",
                "]]",
                '"',
                "'''",
                "[a]\n[a]\n",
                "a.b = 1\na = 2\n",
                "\x1b[31m",
                "\0",
                "\ufeff",
                "[" * 50_000,
            )
        )
        at = dice.randrange(len(text))
        return f"{text[:at]}{odd}{text[at:]}".encode(), f"{odd[:20]!r} at {at}"
    path, holder = [], document
    while True:
        key = dice.choice(sorted(holder))
        path.append(key)
        if not isinstance(holder[key], dict) or not holder[key] or dice.random() < 0.1:
            break
        holder = holder[key]
    if way == 2:
        new = odd_text(dice)
        holder[new] = holder.pop(key)
        return _tables(document).encode("utf-8", "replace"), f"{'.'.join(path)} is called {new[:40]!r}"
    if way == 3:
        del holder[key]
        return _tables(document).encode("utf-8", "replace"), f"{'.'.join(path)} is gone"
    holder[key] = odd_value(dice, holder[key])
    return _tables(document).encode("utf-8", "replace"), f"{'.'.join(path)} = {str(holder[key])[:60]!r}"


def _tables(document: dict[str, Any]) -> str:
    return "".join(
        f"{json.dumps(key, ensure_ascii=dicey(key))} = {toml(value)}\n" for key, value in document.items()
    )
