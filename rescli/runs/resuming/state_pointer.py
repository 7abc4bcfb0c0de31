"""latest.json, which names the newest saved state. No torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import with_config
from typing_extensions import TypedDict

from rescli.errors import CheckpointError
from rescli.runs.directory import RunDir
from rescli.stored.json_values import read_stored
from rescli.stored.values import EXACT, FileName, Sha256

__all__ = ["StatePointer", "pointer_in", "saved_step"]


@with_config(EXACT)
class StatePointer(TypedDict):
    """What latest.json holds."""

    file: FileName
    sha256: Sha256


def pointer_in(directory: Path) -> Path:
    """The pointer among the states of a run, written last."""
    return directory / "latest.json"


def saved_step(run_dir: RunDir) -> int | None:
    """The iteration of the newest saved state; None where there is none, or the pointer is damaged."""
    path = pointer_in(run_dir.state)
    try:
        return int(read_stored(path, StatePointer)["file"].partition("-")[0]) if path.is_file() else None
    except (CheckpointError, ValueError):
        return None
