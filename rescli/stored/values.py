"""Numbers and texts as the types of stored files name them."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

__all__ = [
    "EXACT",
    "Count",
    "Device",
    "FileName",
    "Interval",
    "Loss",
    "PathText",
    "Percent",
    "Seconds",
    "Sha256",
]

EXACT = ConfigDict(strict=True, allow_inf_nan=False)
"""The rule of every type of a stored file: a text is no number, and no number is infinite."""


_LONGEST, _LONGEST_PATH = 255, 4000
"""Bytes of a file's name, and of a path."""

_ROUNDING = 1e-9
"""An interval ends at 100.00000000000001 where it should at 100."""


def _between(least: float, most: float | None, allowed: str) -> AfterValidator:
    def check(value: float) -> float:
        if value < least - _ROUNDING or (most is not None and value > most + _ROUNDING):
            raise PydanticCustomError("allowed", "{allowed}", {"allowed": allowed})
        return value

    return AfterValidator(check)


def _pair(value: list[float]) -> list[float]:
    if len(value) != 2:
        raise PydanticCustomError("allowed", "{allowed}", {"allowed": "two numbers, the lower one first"})
    return value


def _plain_name(value: str) -> str:
    if (
        not value
        or value in (".", "..")
        or "/" in value
        or "\0" in value
        or len(os.fsencode(value)) > _LONGEST
    ):
        raise PydanticCustomError("allowed", "{allowed}", {"allowed": "the name of a file beside it"})
    return value


def _place(value: str) -> str:
    parts = os.fsencode(value).split(b"/")
    if not value or "\0" in value or max(map(len, parts)) > _LONGEST or sum(map(len, parts)) > _LONGEST_PATH:
        raise PydanticCustomError("allowed", "{allowed}", {"allowed": "a path that a folder can have"})
    return value


def _hash(value: str) -> str:
    if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise PydanticCustomError("allowed", "{allowed}", {"allowed": "the 64 hex digits of a sha256"})
    return value


Count = Annotated[int, _between(0, 2**63 - 1, "0 or more, of 64 bits")]
"""A number of images, iterations or bytes."""

Percent = Annotated[float, _between(0, 100, "0 to 100")]
Interval = Annotated[list[Percent], AfterValidator(_pair)]
"""The lower and the upper end, in percent."""

Loss = Annotated[float, _between(0, None, "0 or more")]
"""A cross-entropy, in nats."""

Seconds = Annotated[float, _between(0, None, "0 or more")]
Device = Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d{1,3})?)$")]
Sha256 = Annotated[str, AfterValidator(_hash)]
PathText = Annotated[str, AfterValidator(_place)]
FileName = Annotated[str, AfterValidator(_plain_name)]
"""The name of a file in the same folder: no path that leads out of it."""
