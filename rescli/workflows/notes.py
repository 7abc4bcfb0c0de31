"""What an error suggests, in Python, shown in the traceback of whoever called from Python."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from rescli.errors import RescliError
from rescli.handbook import find_section
from rescli.remedy import ACTIONS

__all__ = ["with_notes"]

P = ParamSpec("P")
R = TypeVar("R")


def with_notes(function: Callable[P, R]) -> Callable[P, R]:
    """``function``, whose errors carry their hint and remedies as notes, for tracebacks and notebooks.

    ``try:`` stands before what can be done: an argument that ``function`` has, or a call. A hint is a
    sentence. ``see:`` names the section of the handbook, last.
    """

    @functools.wraps(function)
    def noting(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RescliError as error:
            if not getattr(error, "__notes__", None):
                parameters = inspect.signature(function).parameters
                if error.hint:
                    leads_on = error.remedies and all(one.setting in ACTIONS for one in error.remedies)
                    error.add_note(error.hint + ":" * bool(leads_on))
                for remedy in error.remedies:
                    error.add_note(f"try: {remedy.worded(parameters)}")
                if error.page is not None and (section := find_section(error.page)) is not None:
                    error.add_note(f"see: {section}")
            raise

    return noting
