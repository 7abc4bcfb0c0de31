"""Rows as a pandas frame, where pandas is installed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from rescli.errors import UsageError

__all__ = ["as_frame"]


def as_frame(rows: Sequence[Mapping[str, object]]) -> Any:
    """A ``pandas.DataFrame`` with a line for each row and a column for each key.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise UsageError("pandas is not installed; a frame needs it.", hint="pip install pandas") from error
    return pandas.DataFrame(list(rows))
