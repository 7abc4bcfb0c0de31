"""Bytes as a bad disk, a broken download or a careless editor leaves them."""

from __future__ import annotations

import random

__all__ = ["damaged", "flipped"]


def flipped(dice: random.Random, data: bytes, begin: int = 0, end: int | None = None) -> tuple[bytes, str]:
    """One bit of ``data[begin:end]`` is another."""
    at, bit = dice.randrange(begin, len(data) if end is None else end), dice.randrange(8)
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed), f"bit {bit} of byte {at} of {len(data)} flipped"


def damaged(dice: random.Random, data: bytes) -> tuple[bytes, str]:
    """Anything that can happen to bytes; never what they were, unless they are few."""
    size = len(data)
    if size < 2:
        return data + b"\0", "a byte appended"
    at = dice.randrange(size)
    length = min(size - at, dice.choice((1, 2, 8, 64, 512, 4096)))
    way = dice.choice(
        ("bit", "bit", "bit", "cut", "cut", "append", "zeros", "noise", "out", "twice", "swap", "one")
    )
    if way == "bit":
        return flipped(dice, data)
    if way == "cut":
        at = dice.choice((0, 1, 7, 8, 9, size - 1, size // 2, at))
        return data[:at], f"cut after {at} of {size} bytes"
    if way == "append":
        more = dice.choice((b"\0", b"\n", b"x" * 100, bytes(4096), data[:200], data))
        return data + more, f"{len(more)} bytes appended to {size}"
    if way == "zeros":
        return data[:at] + bytes(length) + data[at + length :], f"{length} zeros at {at} of {size}"
    if way == "noise":
        return data[:at] + dice.randbytes(length) + data[
            at + length :
        ], f"{length} of noise at {at} of {size}"
    if way == "out":
        return data[:at] + data[at + length :], f"{length} bytes taken out at {at} of {size}"
    if way == "twice":
        return data[: at + length] + data[at:], f"{length} bytes twice at {at} of {size}"
    if way == "swap":
        other = dice.randrange(size)
        changed = bytearray(data)
        changed[at], changed[other] = changed[other], changed[at]
        return bytes(changed), f"bytes {at} and {other} of {size} swapped"
    value = dice.choice((0, 0xFF, 0x7F, 0x80, 0x0A, 0x0D))
    return data[:at] + bytes([value]) + data[at + 1 :], f"byte {at} of {size} is {value:#04x}"
