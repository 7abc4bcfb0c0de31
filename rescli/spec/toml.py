"""A spec as TOML text: the standard library reads TOML but does not write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

__all__ = ["Table", "to_toml"]

Table: TypeAlias = dict[str, Any]
"""Keys and values as TOML or JSON has them, of any shape, before a spec has validated them."""


def to_toml(table: Mapping[str, Any], *, comments: Mapping[str, str] | None = None, _path: str = "") -> str:
    """TOML of nested mappings of strings, booleans, numbers and flat lists of those.

    Reading the text back with ``tomllib`` gives an equal mapping.

    Args:
        table: keys and values.
        comments: dotted key to the text that is written behind its value.
    """
    comments = comments or {}
    values = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines = []
    for key, value in values.items():
        comment = comments.get(f"{_path}.{key}" if _path else key)
        lines.append(f"{_key(key)} = {_value(value)}" + (f"  # {comment}" if comment else "") + "\n")
    head = f"[{_path}]\n" if _path and (values or not tables) else ""
    blocks = ["".join([head, *lines])] if head or lines else []
    for key, sub in tables.items():
        blocks.append(to_toml(sub, comments=comments, _path=f"{_path}.{_key(key)}" if _path else _key(key)))
    return "\n".join(blocks)


def _key(key: str) -> str:
    bare = key.replace("-", "").replace("_", "")
    return key if bare.isascii() and bare.isalnum() else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        # A JSON string is a TOML basic string; what cannot be printed is escaped, as TOML wants it of some.
        text = json.dumps(value, ensure_ascii=False)
        return text if text.isprintable() else "".join(c if c.isprintable() else _code(c) for c in text)
    return json.dumps(value)


def _code(letter: str) -> str:
    return f"\\U{ord(letter):08x}" if ord(letter) > 0xFFFF else f"\\u{ord(letter):04x}"
