"""What ``rescli compare`` was given: checkpoints, run directories, presets, model names and specs, mixed."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rescli.checkpoints.locate import named_checkpoint
from rescli.errors import UnknownNameError, UsageError
from rescli.models.naming import parse_model_name
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec
from rescli.spec.from_names import Choice, change_spec, choose_spec, named_dataset
from rescli.spec.load import preset_names
from rescli.spec.run import RunSpec

__all__ = ["Operand", "on_their_images", "read_operand", "read_operands"]

_log = logging.getLogger(__name__)

_MOST_DIFFERENCES, _LONGEST_VALUE = 4, 24
"""Keys in a label, and characters of a value, up to which it can be read."""


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


def read_operands(given: Sequence[str | os.PathLike[str] | RunSpec], choice: Choice) -> list[Operand]:
    """What each operand names, under labels of its own.

    Specs that would have one label are told apart by the keys in which they differ, ``resnet-8
    optimizer.lr=0.05``, all others by a number, ``last (2)``.

    Raises:
        CheckpointError, RunDirError, UsageError: as ``read_operand``.
    """
    read = _told_apart([read_operand(one, choice) for one in given])
    labelled: list[Operand] = []
    for operand in read:
        base, labels, count = operand.label, {other.label for other in labelled}, 1
        while operand.label in labels:
            count += 1
            operand = replace(operand, label=f"{base} ({count})")
        labelled.append(operand)
    return labelled


def read_operand(given: str | os.PathLike[str] | RunSpec, choice: Choice) -> Operand:
    """What ``given`` names: an existing file or folder first, then a preset, then a model.

    Args:
        given: a path, a name or a spec.
        choice: what changes the specs to be trained; its preset and model are not looked at, and its data
            set is for models.

    Raises:
        CheckpointError: a path that holds no checkpoint.
        RunDirError: a folder that holds no finished run.
        UsageError: nothing has that name, or the changes do not fit it.
    """
    if isinstance(given, RunSpec):
        return Operand(given.model.name, spec=_on_own_images(change_spec(given, choice), choice))
    given = os.fspath(given)
    path = Path(given)
    if path.is_dir():
        return Operand(path.name, checkpoint=named_checkpoint(path))
    if path.suffix == ".safetensors" or (path.is_file() and path.suffix != ".toml"):
        return Operand(path.stem, checkpoint=named_checkpoint(path))
    if given in preset_names() or path.is_file():
        spec = choose_spec(replace(choice, preset=given, dataset=None))[1]
        label = given if given in preset_names() else path.stem
        return Operand(label, spec=_on_own_images(spec, choice))
    try:
        parse_model_name(given)
    except UnknownNameError as error:
        raise UsageError(
            f"{given!r} is no checkpoint, run directory, preset or model. {error}",
            remedy=Remedy("list_presets"),
            page="unknown-name-or-key",
        ) from error
    return Operand(given, spec=choose_spec(replace(choice, model=given, preset=None))[1])


def on_their_images(read: Sequence[Operand], root: Path | None) -> list[Operand]:
    """The operands, with what only the image files can say in their specs; what is odd there is told once.

    Args:
        read: the operands.
        root: where the images lie; None for RESCLI_DATA, else the user's cache.

    Raises:
        DataError: there are no such files, or no net can be trained on them.
    """
    surveyed: dict[str, DatasetSpec] = {}
    found = []
    for operand in read:
        if operand.spec is None:
            found.append(operand)
            continue
        data = operand.spec.data
        key = data.dataset.model_dump_json()
        if key not in surveyed:
            surveyed[key], survey = data.dataset.surveyed(root)
            if survey is not None:
                survey.require_trainable()
                for odd in (finding for finding in survey.findings if finding.kind == "odd"):
                    _log.warning("%s", odd.sentence)
        data = data.model_copy(update={"dataset": surveyed[key]})
        found.append(replace(operand, spec=operand.spec.model_copy(update={"data": data})))
    return found


def _on_own_images(spec: RunSpec, choice: Choice) -> RunSpec:
    """The spec, where the choice names no other data set than its own."""
    own, wanted = spec.data.dataset.kind, choice.dataset
    if wanted is not None and wanted != own:
        named_dataset(wanted)  # an unknown name is refused as such
        raise UsageError(
            f"{spec.model.name} has its own data set, {own}; {wanted!r} is for model names alone."
        )
    return spec


def _told_apart(read: Sequence[Operand]) -> list[Operand]:
    """The same, where specs of one label have the differing keys in it."""
    found = list(read)
    for label in {operand.label for operand in read}:
        alike = [place for place, operand in enumerate(read) if operand.label == label]
        specs = [operand.spec for operand in read if operand.label == label]
        tables = [spec.to_dict() for spec in specs if spec is not None]
        if len(alike) < 2 or len(tables) < len(alike):
            continue
        keys = list(_differing(tables))
        texts = [[f"{key}={_short(_value(table, key))}" for key in keys] for table in tables]
        if not 0 < len(keys) <= _MOST_DIFFERENCES or any("..." in text for row in texts for text in row):
            continue
        for place, row in zip(alike, texts, strict=True):
            found[place] = replace(found[place], label=" ".join([label, *row]))
    return found


def _differing(tables: Sequence[Mapping[str, object]], above: str = "") -> Iterator[str]:
    """The dotted keys whose values are not the same in all tables."""
    for key in dict.fromkeys(key for table in tables for key in table):
        values = [table.get(key) for table in tables]
        sections = [value for value in values if isinstance(value, Mapping)]
        if len(sections) == len(values):
            yield from _differing(sections, f"{above}{key}.")
        elif any(value != values[0] for value in values):
            yield f"{above}{key}"


def _value(table: Mapping[str, object], dotted: str) -> object:
    found: object = table
    for key in dotted.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _short(value: object) -> str:
    """A value as ``optimizer.lr=0.05`` has it."""
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else "..."
