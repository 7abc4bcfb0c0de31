"""``state/data_root.json``: where a run's images lie, for a resume that is not told."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import with_config
from typing_extensions import TypedDict

from rescli.errors import CheckpointError
from rescli.files import write_json
from rescli.remedy import Remedy
from rescli.stored.json_values import read_stored
from rescli.stored.values import EXACT, PathText

__all__ = ["read_data_root", "write_data_root"]


@with_config(EXACT)
class _Note(TypedDict):
    data_root: PathText


def write_data_root(note: Path, data_root: Path) -> None:
    """Write the note.

    Raises:
        CheckpointError: it cannot be written.
    """
    place = Path(os.path.expanduser(data_root)).absolute()  # Path's own raises without a home
    write_json(note, {"data_root": str(place)}, error=CheckpointError)


def read_data_root(note: Path) -> Path | None:
    """The folder that was noted; None where there is no note.

    Raises:
        CheckpointError: the note is damaged.
    """
    if not note.exists():
        return None
    remedy = Remedy("data_root", "DIR", "where the images lie")
    return Path(read_stored(note, _Note, remedy=remedy)["data_root"])
