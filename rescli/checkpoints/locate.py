"""The file of a checkpoint, whether the user names it, its run directory or the folder it was exported to."""

from __future__ import annotations

import os
from pathlib import Path

from rescli.errors import CheckpointError, RunDirError
from rescli.remedy import Remedy

__all__ = ["named_checkpoint"]


def named_checkpoint(given: Path) -> Path:
    """The file itself; in a run directory its last weights, in an exported folder its only ones.

    Nothing is imported for it.

    Raises:
        CheckpointError: no such file.
        RunDirError: a folder that holds no such run.
    """
    # os.path: pathlib raises where a path is too long.
    if os.path.isfile(given):
        return given
    if not os.path.isdir(given):
        raise CheckpointError(f"no such checkpoint: {given}", hint="a run keeps them in RUN_DIR/checkpoints/")
    last = given / "checkpoints" / "last.safetensors"
    if os.path.isfile(last):
        return last
    if os.path.isfile(given / "spec.toml"):
        raise RunDirError(
            f"{given} holds no checkpoints/last.safetensors: the run was stopped before its first one.",
            remedy=Remedy("resume", given),
        )
    exported = given / "model.safetensors"
    if os.path.isfile(exported) and os.path.isfile(given / "config.json"):
        return exported
    files = sorted(given.glob("*.safetensors"))
    raise RunDirError(
        f"{given} is a folder and no run directory: it holds no checkpoints/last.safetensors.",
        hint=f"name a file: {files[0]}" if files else None,
    )
