"""Changes that know what they change: a value somewhere in JSON, a key, a head of safetensors; else bytes."""

from __future__ import annotations

import json
import random
from typing import Any

__all__ = ["mutated"]

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**25, 0.5, -0.5, 1e308, 1e-320),
    *(
        float("nan"),
        float("inf"),
        float("-inf"),
        "",
        "x",
        "\0",
        "\n",
        "\x1b[31m",
        "../../x",
        "caf\udce9",
        "\ud800",
    ),
    *("0" * 64, "a" * 300, "NaN", "1", "cuda:9", "<script>", [], [[]], {}, {"": 0}, {"kind": 3}, [-1, 101]),
    *([1, 2, 3], ["x"] * 5, {"kind": "none"}, "resnet", "plain", "cpu", "fp32", [None], [1.5]),
)
"""Values of every kind, and those that code forgets."""


def mutated(target: str, data: bytes, rng: random.Random) -> bytes:
    """Bytes that differ from ``data`` in one to three places.

    Args:
        target: what they are for: of ``file`` the head is changed as JSON, and mostly put right in length.
        data: a whole file, or one that was changed before.
        rng: what it depends on.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = _once(target, data, rng)
    return data


def _once(target: str, data: bytes, rng: random.Random) -> bytes:
    if target == "spec" or rng.random() < 0.25:
        return _bytes_changed(data, rng)
    if target == "file":
        return _file_changed(data, rng)
    if target == "metrics":
        lines = data.split(b"\n")
        place = rng.randrange(len(lines))
        lines[place] = _json_changed(lines[place], rng)
        return b"\n".join(lines)
    return _json_changed(data, rng)


def _bytes_changed(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    how = rng.randrange(5)
    if how == 0 and data:
        place = min(place, len(data) - 1)
        return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
    if how == 1:
        return data[:place]
    if how == 2:
        return data[:place] + data[place + rng.randrange(1, 9) :]
    if how == 3:
        return data[:place] + rng.randbytes(rng.randrange(1, 5)) + data[place:]
    odd = json.dumps(rng.choice(_ODD)).encode()
    return data[:place] + odd + data[place + rng.choice((0, len(odd))) :]


def _file_changed(data: bytes, rng: random.Random) -> bytes:
    length = int.from_bytes(data[:8], "little")
    head, tensors = data[8 : 8 + length], data[8 + length :]
    try:
        header = json.loads(head)
        texts = header["__metadata__"]
        if rng.random() < 0.6:  # a value inside one of the texts, and no hash that would tell
            texts.pop("content_sha256", None)
            key = rng.choice(sorted(texts))
            texts[key] = _json_changed(texts[key].encode(), rng).decode("utf-8", "replace")
            head = json.dumps(header).encode()
        else:
            head = _json_changed(head, rng)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        head = _bytes_changed(head, rng)
    return len(head).to_bytes(8, "little") + head + tensors


def _json_changed(data: bytes, rng: random.Random) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _bytes_changed(data, rng)
    places: list[tuple[Any, Any]] = []
    left = [value]
    while left:
        one = left.pop()
        keys = list(one) if isinstance(one, dict) else list(range(len(one))) if isinstance(one, list) else []
        places += [(one, key) for key in keys]
        left += [one[key] for key in keys if isinstance(one[key], dict | list)]
    if not places or rng.random() < 0.03:
        return json.dumps(rng.choice(_ODD)).encode()
    inside, key = rng.choice(places)
    how = rng.randrange(6)
    if how == 0:
        del inside[key]
    elif how == 1 and isinstance(inside, dict):
        inside[str(rng.choice(_ODD))] = inside.pop(key)
    elif how == 2:
        other, another = rng.choice(places)
        try:
            inside[key] = json.loads(json.dumps(other[another]))
        except (LookupError, RecursionError, ValueError):
            inside[key] = None
    elif how == 3:
        inside[key] = [inside[key]]
    else:
        inside[key] = rng.choice(_ODD)
    try:
        return json.dumps(value).encode()
    except (ValueError, RecursionError):
        return data
