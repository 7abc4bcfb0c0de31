"""What a workflow is called with, checked before any work.

The command line's own types refuse the same; from Python nobody else does.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rescli.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from rescli.runs.where import Where

__all__ = ["SPLITS", "as_paths", "check_count", "check_name", "check_number", "check_splits", "checked"]

SPLITS = ("train", "val", "test", "all")
"""Parts of a data set; ``all`` is of a flat folder."""


def as_paths(given: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """One path or several, as a list.

    Example:
        >>> [str(path) for path in as_paths("runs")]
        ['runs']
    """
    return [Path(one) for one in ([given] if isinstance(given, str | os.PathLike) else given)]


def check_name(what: str, given: str | None, known: Sequence[str]) -> None:
    """Refuse a name that is none of ``known``.

    Args:
        what: the argument's name.
        given: what was given; None where the workflow is to choose.
        known: the names that it may have.

    Raises:
        UnknownNameError: lists the known names, and the nearest.

    Example:
        >>> check_name("average", "probs", ("probabilities", "logits"))
        Traceback (most recent call last):
        rescli.errors.UnknownNameError: unknown average 'probs'; known: logits, probabilities. Did you mean
        'probabilities'?
    """
    if given is not None and given not in known:
        raise UnknownNameError(what, str(given), known)


def check_splits(given: str | Sequence[str] | None) -> None:
    """Refuse what is no part of a data set, or a list of none.

    Raises:
        UnknownNameError: lists the parts.
        UsageError: no part is named.
    """
    if given is None:
        return
    names = [given] if isinstance(given, str) else list(given)
    if not names:
        raise UsageError(f"split names no part of the data set; known: {', '.join(SPLITS)}.")
    for name in names:
        check_name("split", name, SPLITS)


def check_count(what: str, given: int | None, *, least: int, most: int | None = None) -> None:
    """Refuse a number that is not whole, or too small or too large.

    Args:
        what: the argument's name.
        given: what was given; None where the workflow is to choose.
        least: the smallest that works.
        most: the largest that works; None for no bound.

    Raises:
        UsageError: says what is allowed.

    Example:
        >>> check_count("batch_size", 0, least=1)
        Traceback (most recent call last):
        rescli.errors.UsageError: batch_size must be at least 1; got 0.
    """
    if given is None:
        return
    try:
        count = operator.index(given)
    except TypeError:
        raise UsageError(f"{what} must be a whole number; got {given!r}.") from None
    if most is not None and not least <= count <= most:
        raise UsageError(f"{what} must be from {least} to {most}; got {given!r}.")
    if count < least:
        raise UsageError(f"{what} must be at least {least}; got {given!r}.")


def check_number(what: str, given: float, *, least: float) -> None:
    """Refuse what is no finite number, or too small.

    Args:
        what: the argument's name.
        given: what was given.
        least: the smallest that works.

    Raises:
        UsageError: says what is allowed.

    Example:
        >>> check_number("window_seconds", 0.0, least=0.01)
        Traceback (most recent call last):
        rescli.errors.UsageError: window_seconds must be at least 0.01; got 0.0.
    """
    if not isinstance(given, int | float) or not math.isfinite(given):
        raise UsageError(f"{what} must be a number; got {given!r}.")
    if given < least:
        raise UsageError(f"{what} must be at least {least:g}; got {given!r}.")


def checked(where: Where) -> Where:
    """The machine's side of a run, refused where no machine has it.

    Raises:
        UnknownNameError: no such engine or kernels.
        UsageError: a number of workers below 0, or of threads below 1.
    """
    from rescli.training.engines.choose import ENGINES, KERNELS

    check_name("engine", where.engine, ENGINES)
    check_name("kernels", where.kernels, KERNELS)
    check_count("workers", where.workers, least=0)
    check_count("threads", where.threads, least=1)
    return where
