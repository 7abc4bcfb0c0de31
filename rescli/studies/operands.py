"""What ``rescli compare`` was given: checkpoints, run directories, presets and model names, mixed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rescli.checkpoints.locate import named_checkpoint
from rescli.errors import UnknownNameError, UsageError
from rescli.models.naming import parse_model_name
from rescli.remedy import Remedy
from rescli.spec.from_names import Choice, choose_spec
from rescli.spec.load import preset_names
from rescli.spec.run import RunSpec

__all__ = ["Operand", "read_operand"]


@dataclass(frozen=True)
class Operand:
    """One of the things to compare: a checkpoint that is there, or the spec of a run to be trained.

    Args:
        label: what it is called in the comparison.
        checkpoint: its file; None where there is a spec.
        spec: what is to be trained; None where there is a checkpoint.
    """

    label: str
    checkpoint: Path | None = None
    spec: RunSpec | None = None


def read_operand(given: str, choice: Choice) -> Operand:
    """What ``given`` names: an existing file or folder first, then a preset, then a model.

    Args:
        given: a path or a name.
        choice: what changes the specs to be trained; its preset and model are not looked at.

    Raises:
        CheckpointError: a path that holds no checkpoint.
        RunDirError: a folder that holds no finished run.
        UsageError: nothing has that name, or the changes do not fit it.
    """
    path = Path(given)
    if path.is_dir():
        return Operand(path.name, checkpoint=named_checkpoint(path))
    if path.suffix == ".safetensors" or (path.is_file() and path.suffix != ".toml"):
        return Operand(path.stem, checkpoint=named_checkpoint(path))
    if given in preset_names() or path.is_file():
        spec = choose_spec(replace(choice, preset=given, dataset=None))[1]
        return Operand(given if given in preset_names() else path.stem, spec=spec)
    try:
        parse_model_name(given)
    except UnknownNameError as error:
        raise UsageError(
            f"{given!r} is no checkpoint, run directory, preset or model. {error}",
            remedy=Remedy("list_presets"),
        ) from error
    return Operand(given, spec=choose_spec(replace(choice, model=given, preset=None))[1])
