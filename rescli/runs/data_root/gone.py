"""What is said where the folder in which a run had its photographs is there no more."""

from __future__ import annotations

import os
from pathlib import Path

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import DataError
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir

__all__ = ["require_images_of_checkpoint", "require_images_of_run"]


def require_images_of_run(run_dir: RunDir, noted: Path | None) -> None:
    """Refuse a folder that is gone.

    Args:
        run_dir: the run.
        noted: where it had its images; None for the usual places.

    Raises:
        DataError: the folder is gone.
    """
    if noted is not None and not os.path.lexists(noted):
        raise DataError(
            f"{noted}, where {run_dir.path} had its images, is gone.",
            remedy=Remedy("data_root", "DIR", "where they are now"),
            page="resume-refused",
        )


def require_images_of_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """The same of a checkpoint that lies in a run directory, unless RESCLI_DATA names another place.

    Args:
        path: of the checkpoint.
        checkpoint: what was read from it.

    Raises:
        DataError: its images are photographs, and their folder is gone.
    """
    run_dir = RunDir.of_checkpoint(path)
    if run_dir is not None and checkpoint.dataset.any_size and not os.environ.get("RESCLI_DATA"):
        require_images_of_run(run_dir, run_dir.noted_data_root())
