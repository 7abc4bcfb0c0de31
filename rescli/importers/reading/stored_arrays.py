"""Arrays and numbers of NumPy as pickles carry them, made without NumPy's own constructors.

Those take any bytes for pointers to objects, or give memory as they find it. What stands here in their place
holds plain numbers alone, and only where there are as many bytes as the shape needs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rescli.plurals import counted

__all__ = ["DamagedArrayError", "StoredArray", "numpy_stand_ins"]

_PLAIN = re.compile(r"[<>=|]?(?:b1|[iu][1248]|f[248]|[?bBhHiIlLqQefd])")
"""Codes of booleans, whole numbers and numbers in floating point that tensors can have."""

_MOST_DIMENSIONS = 32

_ORDERS = {"<": "<", ">": ">", "=": "=", "|": "="}


class DamagedArrayError(Exception):
    """A pickle has an array that no program can have saved."""


class StoredType:
    """A type of numbers in the place of ``numpy.dtype``.

    Args:
        code: such as ``f4``. Of what is no plain code nothing is kept.
    """

    __slots__ = ("numbers",)

    def __init__(self, code: object = None, *_: object, **__: object) -> None:
        if isinstance(code, bytes):
            code = code.decode("latin-1")
        plain = isinstance(code, str) and _PLAIN.fullmatch(code) is not None
        self.numbers: np.dtype[Any] | None = np.dtype(code) if plain else None  # type: ignore[call-overload]

    def __setstate__(self, state: object) -> None:
        """Take the byte order: ``(3, "<", None, None, None, -1, -1, 0)``.

        Raises:
            DamagedArrayError: a plain type with parts, fields or flags, which it cannot have.
        """
        if self.numbers is None:
            return
        match state:
            case (int(), "<" | ">" | "=" | "|" as order, None, None, None, -1, -1, 0):
                self.numbers = self.numbers.newbyteorder(_ORDERS[order])  # type: ignore[arg-type]
            case _:
                raise DamagedArrayError(f"state of a type: {type(state).__name__}")


class StoredArray:
    """An array in the place of ``numpy.ndarray``; whatever it is made with, it begins without numbers.

    ``numbers`` is read-only, in the file's byte order; None where they are not plain, such as objects.
    """

    __slots__ = ("numbers",)

    def __init__(self, *_: object, **__: object) -> None:
        self.numbers: NDArray[Any] | None = None

    def __setstate__(self, state: object) -> None:
        """Take ``(version, shape, type, whether the first index runs fastest, bytes)``.

        Raises:
            DamagedArrayError: these do not belong together.
        """
        match state:
            case (int(), tuple() as shape, StoredType() as kind, bool() as fortran, content):
                if kind.numbers is not None:
                    self.numbers = _numbers(kind.numbers, shape, content, "F" if fortran else "C")
            case _:
                raise DamagedArrayError(f"state of an array: {type(state).__name__}")


def numpy_stand_ins() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What pickles make arrays and numbers of NumPy with, by the names that they have there."""
    found: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (StoredArray, "numpy.ndarray"),
        (StoredType, "numpy.dtype"),
    ]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        found += [(_reconstruct, f"{module}._reconstruct"), (_scalar, f"{module}.scalar")]
    return [*found, (_no_bytes, "builtins.bytes")]


def _reconstruct(*_: object) -> StoredArray:
    """The array that ``__setstate__`` fills."""
    return StoredArray()


def _scalar(kind: object = None, content: object = b"", *_: object) -> object:
    """A number of NumPy; an array without numbers where it is no plain one."""
    if not isinstance(kind, StoredType) or kind.numbers is None:
        return StoredArray()
    return _numbers(kind.numbers, (), content, "C")[()]


def _no_bytes(*_: object) -> bytes:
    """As pickles write the bytes of an array without numbers: a call without arguments."""
    return b""


def _numbers(
    kind: np.dtype[Any], shape: tuple[object, ...], content: object, order: Literal["C", "F"]
) -> NDArray[Any]:
    # Not a subclass of bytes or int, whose methods could say something else than what it holds.
    sizes = [size for size in shape if type(size) is int and size >= 0]
    if type(content) is not bytes or len(sizes) != len(shape) or len(shape) > _MOST_DIMENSIONS:
        raise DamagedArrayError(f"shape {shape!r:.40} of {type(content).__name__}")
    if math.prod(sizes) * kind.itemsize != len(content):
        raise DamagedArrayError(f"{counted(len(content), 'byte')} for the shape {tuple(sizes)} of {kind}")
    flat = np.frombuffer(content, np.dtype("u1") if kind.kind == "b" else kind)
    # Booleans of other bytes than 0 and 1 are none.
    flat = flat != 0 if kind.kind == "b" else flat
    try:
        return flat.reshape(sizes, order=order)
    except ValueError as error:  # no bytes, and more of them along the other dimensions than there can be
        raise DamagedArrayError(str(error)) from error
