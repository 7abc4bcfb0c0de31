"""The file of a checkpoint, whether the user names it, its run directory or the folder it was exported to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, runtime_checkable

from rescli.checkpoints.file_kinds import foreign_tensors, kind_of_file
from rescli.errors import CheckpointError, RunDirError
from rescli.files import require_plain_file
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["HasPath", "HasWeights", "Source", "named_checkpoint", "source_path"]


_FOREIGN = (".bin", ".ckpt", ".pt", ".pth", ".pth.tar", ".pyth", ".th")
"""Suffixes of weights that other programs write."""


class HasPath(Protocol):
    """Whatever knows where it lies, such as a run."""

    @property
    def path(self) -> Path: ...


@runtime_checkable
class HasWeights(Protocol):
    """A net in memory, and the file that it was read from."""

    @property
    def path(self) -> Path: ...

    def require_unchanged(self) -> None: ...


Source = str | os.PathLike[str] | HasPath
"""What a trained net is named by: a path to a file or folder, a run, or a loaded net."""


def source_path(source: Source) -> Path:
    """The file with the weights. Nothing is imported for it.

    Raises:
        CheckpointError: no such file.
        RunDirError: a folder that holds no weights.
        UsageError: a loaded net whose weights were changed.
    """
    if isinstance(source, HasWeights):
        source.require_unchanged()
        return source.path
    return named_checkpoint(Path(source) if isinstance(source, str | os.PathLike) else source.path)


def named_checkpoint(given: Path) -> Path:
    """The file itself; in a run directory its last weights, in an exported folder its only ones.

    Nothing is imported for it.

    Raises:
        CheckpointError: no such file.
        RunDirError: a folder that holds no such run.
    """
    # os.path: pathlib raises where a path is too long.
    if os.path.isfile(given):
        _require_safetensors(given)
        return given
    require_plain_file(given, CheckpointError)
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
    run = _run_of_part(given)
    foreign = sorted(file for suffix in _FOREIGN for file in given.glob(f"*{suffix}"))
    raise RunDirError(
        f"{given} is a folder and no run directory: it holds no checkpoints/last.safetensors.",
        hint=f"name the run: {run}" if run else f"name a file: {files[0]}" if files else None,
        remedy=Remedy("import_this", foreign[0], "makes a checkpoint of it") if foreign and not files else (),
    )


def _run_of_part(folder: Path) -> Path | None:
    """The run that a folder of its checkpoints or of its state belongs to; None of other folders."""
    run = folder.absolute().parent
    in_run = folder.name in ("checkpoints", "state") and os.path.isfile(run / "spec.toml")
    return folder.parent if in_run else None


def _require_safetensors(path: Path) -> None:
    """Refuse what cannot be a checkpoint by its first bytes; whether it is whole shows in reading."""
    try:
        kind = kind_of_file(path)
        tensors = foreign_tensors(path) if kind.form == "safetensors" else None
    except OSError:  # said by whoever reads it
        return
    if path.parent.name == "state" and (run := _run_of_part(path.parent)) is not None:
        raise CheckpointError(
            f"{path} is what a run needs to go on, not a checkpoint.", hint=f"name the run: {run}"
        )
    if kind.form == "torch":
        raise CheckpointError(
            f"{path} is a file of PyTorch, not a checkpoint of rescli.",
            remedy=Remedy("import_this", path, "makes a checkpoint of its weights"),
        )
    if tensors is not None and not os.path.isfile(path.with_name("config.json")):  # which may say more
        raise CheckpointError(
            f"{path} holds {counted(tensors, 'tensor')} but no rescli model.",
            remedy=Remedy("import_this", path, "makes a checkpoint of its weights"),
        )
    if kind.form == "other" and os.path.getsize(path):  # an empty one is damaged like any that is cut
        raise CheckpointError(
            f"{path} is not a whole safetensors file: it is {kind.what}.",
            hint=kind.advice or "name a checkpoint, or the directory of a run",
        )
