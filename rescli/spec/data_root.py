"""The folder of the images, as it was named."""

from __future__ import annotations

import os
from pathlib import Path

from rescli.errors import DataError
from rescli.remedy import Remedy

__all__ = ["given_root"]


def given_root(data_root: Path | None) -> Path:
    """The folder that was named, or RESCLI_DATA.

    Raises:
        DataError: neither is there, or it is of a user that nobody knows.
    """
    given = data_root or os.environ.get("RESCLI_DATA")
    if not given:
        raise DataError(
            "nobody said where the images are.",
            remedy=Remedy("data_root", "DIR", "or RESCLI_DATA=DIR"),
            page="no-images-where-they-are-looked-for",
        )
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise DataError(f"{given} cannot be found: {error}") from error
