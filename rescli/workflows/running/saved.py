"""How far a training was saved, for whoever has to say what a resume goes on from."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from rescli.errors import CheckpointError
from rescli.runs.directory import RunDir
from rescli.runs.stored_record import read_record

__all__ = ["last_saved_iteration"]


def last_saved_iteration(run: Path) -> int | None:
    """The iteration of the newest saved state, as the record of a run says.

    Args:
        run: its directory, which need not be there.

    Returns:
        None where no state was saved, or nobody can tell.
    """
    with suppress(CheckpointError):
        return read_record(RunDir(run)).get("last_saved_iteration")
    return None
