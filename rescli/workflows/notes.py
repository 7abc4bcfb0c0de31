"""What an error suggests, shown in the traceback of whoever called from Python."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from rescli.errors import RescliError

__all__ = ["with_notes"]

P = ParamSpec("P")
R = TypeVar("R")


def with_notes(function: Callable[P, R]) -> Callable[P, R]:
    """``function``, whose errors carry their hint and remedies as notes, for tracebacks and notebooks."""

    @functools.wraps(function)
    def noting(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RescliError as error:
            if not getattr(error, "__notes__", None):
                for step in (*([error.hint] if error.hint else []), *map(str, error.remedies)):
                    error.add_note(f"try: {step}")
            raise

    return noting
