"""A run directory that somebody moves while it is trained into."""

from __future__ import annotations

from pathlib import Path

from rescli.errors import CheckpointError
from rescli.hardware.disk.file_lock import is_moved, place_of
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir

__all__ = ["moved_error", "require_in_place"]


def require_in_place(run_dir: RunDir) -> None:
    """Refuse to write into a folder that has the name of the run's and is another, or would be.

    Args:
        run_dir: locked by this process, else nothing is known.

    Raises:
        CheckpointError: it was renamed, deleted or replaced.
    """
    if is_moved(_lock_of(run_dir)):
        gone = f"{run_dir.path} was deleted or moved while the run was trained."
        raise moved_error(run_dir) or CheckpointError(gone, page="run-directory-moved")


def moved_error(run_dir: RunDir) -> CheckpointError | None:
    """What to say of a run directory that has another name now; None of any other."""
    lock = _lock_of(run_dir)
    place = place_of(lock) if is_moved(lock) else None
    if place is None:
        return None
    return CheckpointError(
        f"{run_dir.path} was moved to {place.parent} while the run was trained. What was saved went with it; "
        "a resume trains again what came since.",
        remedy=Remedy("resume", str(place.parent)),
        page="run-directory-moved",
    )


def _lock_of(run_dir: RunDir) -> Path:
    return run_dir.path / ".lock"
