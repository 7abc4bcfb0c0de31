"""The state for resume: everything of a TrainState in one safetensors file, and a pointer written last."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NotRequired

import torch
from pydantic import with_config
from typing_extensions import TypedDict

from rescli.checkpoints.checkpoint import read_tensors
from rescli.checkpoints.serialise import serialise
from rescli.errors import CheckpointError, RunDirError
from rescli.files import read_file, remove, write_atomically, write_json
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.runs.resuming.state_pointer import StatePointer, pointer_in
from rescli.runs.stored_record import DataRecord
from rescli.spec.run import RunSpec
from rescli.stored.json_values import as_stored, parse_json, read_stored
from rescli.stored.values import EXACT, Count, Device, Percent, Seconds, Sha256
from rescli.training.state import TrainState

__all__ = [
    "MAY_CHANGE",
    "SavedState",
    "StateNumbers",
    "describe_state",
    "differing_keys",
    "load_state",
    "save_state",
]

MAY_CHANGE = frozenset({"data.skip_damaged"})
"""Keys that a resumed run may change: what is computed of the images that are whole stays what it was."""

Number = bool | int | float | str | None
"""What an optimizer may keep beside its tensors."""


@with_config(EXACT)
class StateNumbers(TypedDict):
    """The numbers of a TrainState, as JSON holds them; ``optimizer`` by parameter and name."""

    step: Count
    evaluation_due: NotRequired[bool]
    """whether the evaluation of its step is still to be made; states of earlier versions do not say"""
    window_start: Count
    trigger: dict[str, int | float]
    best_val_error: Percent | None
    best_step: Count | None
    train_seconds: Seconds
    window_seconds: Seconds
    optimizer: dict[str, Number]


@with_config(EXACT)
class _Meta(TypedDict):
    """What stands beside the tensors; states of earlier versions name no engine, kernels or convolutions."""

    spec: dict[str, Any]
    numbers: StateNumbers
    precision: Literal["fp32", "bf16", "fp16"]
    device: Device
    engine: NotRequired[str]
    kernels: NotRequired[str]
    convolutions: NotRequired[str]
    threads: Count
    metrics_bytes: Count
    metrics_sha256: Sha256
    data: DataRecord
    data_root: NotRequired[str | None]


@dataclass(frozen=True, eq=False)
class SavedState:
    """A state on its way to the disk or back, in no model.

    Attributes:
        tensors: by name; those of the model begin with ``model.``.
        numbers: what stands beside them.
        precision: of the convolutions; it and the next five are what the run used, to be repeated.
        device: its name, as torch writes it.
        engine: what launched the steps.
        kernels: what normalised and added between convolutions.
        convolutions: what computed those of the native kernels.
        threads: of the CPU.
        metrics_bytes: the length of metrics.jsonl when it was saved; what follows belongs to lost iterations.
        metrics_sha256: the hash of those bytes.
        data: the images that the run saw.
        data_root: where they lay, in a state from before the run directory noted it.
    """

    tensors: dict[str, torch.Tensor]
    numbers: StateNumbers
    precision: str
    device: str
    engine: str
    kernels: str
    convolutions: str
    threads: int
    metrics_bytes: int
    metrics_sha256: str
    data: DataRecord
    data_root: str | None = None

    @property
    def step(self) -> int:
        return self.numbers["step"]

    @property
    def evaluation_due(self) -> bool:
        """Whether the evaluation of its step is still to be made; states of earlier versions do not say."""
        return self.numbers.get("evaluation_due", False)

    def restore(self, state: TrainState) -> None:
        """Put everything into ``state``, in place.

        Raises:
            CheckpointError: a tensor is missing or misshapen.
        """
        try:
            model = {
                name.removeprefix("model."): t
                for name, t in self.tensors.items()
                if name.startswith("model.")
            }
            state.model.load_state_dict(model, strict=True)
            state.ring.copy_(self.tensors["ring"])
            _restore_optimizer(state, self.tensors, self.numbers["optimizer"])
            state.step = self.step
            state.evaluation_due = self.evaluation_due
            state.window_start = self.numbers["window_start"]
            state.trigger = dict(self.numbers["trigger"])
            state.best_val_error = self.numbers["best_val_error"]
            state.best_step = self.numbers["best_step"]
            state.train_seconds = float(self.numbers["train_seconds"])
            state.window_seconds = float(self.numbers["window_seconds"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"the saved state does not fit this run: {error}", page="resume-refused"
            ) from error


_META = tuple(field.name for field in fields(SavedState) if field.name != "tensors")


def describe_state(state: TrainState) -> tuple[dict[str, torch.Tensor], StateNumbers]:
    """All that ``SavedState.restore`` puts back.

    Returns:
        Tensors by name, of which the model's begin with ``model.``, and the numbers beside them.
    """
    tensors, optimizer = _optimizer_to_plain(state)
    tensors |= {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    tensors["ring"] = state.ring
    numbers: StateNumbers = {
        "step": state.step,
        "evaluation_due": state.evaluation_due,
        "window_start": state.window_start,
        "trigger": dict(state.trigger),
        "best_val_error": state.best_val_error,
        "best_step": state.best_step,
        "train_seconds": state.train_seconds,
        "window_seconds": state.window_seconds,
        "optimizer": optimizer,
    }
    return tensors, numbers


def save_state(directory: Path, saved: SavedState, spec: RunSpec) -> None:
    """Write ``STEP.safetensors``, then ``latest.json`` that names it, then remove older states.

    Args:
        saved: its tensors contiguous on the CPU.

    Raises:
        CheckpointError: the disk is full or not writable; the state before this one still counts.
    """
    meta = {name: getattr(saved, name) for name in _META}
    content = serialise(saved.tensors, {"state": json.dumps({"spec": spec.to_dict(), **meta})})
    digest = hashlib.sha256()
    for part in content:
        digest.update(part)
    sha256 = digest.hexdigest()
    # Named by content, so that the file which the pointer still names is never overwritten.
    path = directory / f"{saved.step:08d}-{sha256[:12]}.safetensors"
    write_atomically(path, content, error=CheckpointError)
    pointer = StatePointer(file=path.name, sha256=sha256)
    write_json(pointer_in(directory), pointer, error=CheckpointError)
    for old in directory.glob("*.safetensors"):
        if old != path:
            remove(old)  # one that stays takes room, and no more


def load_state(directory: Path, spec: RunSpec) -> SavedState | None:
    """The newest state; None if none was ever saved.

    Raises:
        CheckpointError: the state is damaged or its file is gone.
        RunDirError: it was saved by a run of another spec.
    """
    pointer_path = pointer_in(directory)
    if not pointer_path.exists():
        return None
    hint = "nothing was changed; begin again with"
    run_dir = RunDir(directory.parent)
    remedy = Remedy("train_anew", run_dir.spec, also={"data_root": run_dir.noted_data_root()})
    pointer = read_stored(pointer_path, StatePointer, hint=hint, remedy=remedy)
    path = directory / pointer["file"]
    if not path.is_file():
        raise CheckpointError(
            f"the saved state {path} is missing.", hint=hint, remedy=remedy, page="resume-refused"
        )
    if hashlib.sha256(read_file(path)).hexdigest() != pointer["sha256"]:
        raise CheckpointError(
            f"the saved state {path} is damaged: its sha256 is not the recorded one.",
            hint=hint,
            remedy=remedy,
            page="resume-refused",
        )
    tensors, texts, _ = read_tensors(path)

    def refused(wrong: object) -> CheckpointError:
        return CheckpointError(
            f"the saved state {path} is damaged: {wrong}.", hint=hint, remedy=remedy, page="resume-refused"
        )

    try:
        meta = as_stored(parse_json(texts.get("state", "null")), _Meta, refused)
    except ValueError as error:
        raise refused(error) from error
    changed = [key for key in differing_keys(meta["spec"], spec.to_dict()) if key not in MAY_CHANGE]
    if changed:
        raise RunDirError(
            f"the state in {directory} belongs to a run of another spec; these differ: {', '.join(changed)}.",
            hint="put spec.toml back as it was, or begin a new run",
            remedy=remedy,
            page="resume-refused",
        )
    # Before states named them there was but one engine, no kernels, and no convolutions but those of bf16.
    before = {"engine": "eager", "kernels": "plain", "convolutions": "native"}
    kept: dict[str, Any] = {**before, **meta}
    return SavedState(tensors=tensors, **{key: kept[key] for key in _META if key in kept})


def differing_keys(one: dict[str, Any], other: dict[str, Any], *, prefix: str = "") -> list[str]:
    """Dotted keys whose values are not equal."""
    keys = []
    for key in sorted({*one, *other}):
        a, b = one.get(key), other.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            keys += differing_keys(a, b, prefix=f"{prefix}{key}.")
        elif json.dumps(a) != json.dumps(b):
            keys.append(f"{prefix}{key}")
    return keys


def _optimizer_to_plain(state: TrainState) -> tuple[dict[str, torch.Tensor], dict[str, Number]]:
    """The optimizer's state per parameter name: tensors, and numbers that JSON holds."""
    tensors: dict[str, torch.Tensor] = {}
    numbers: dict[str, Number] = {}
    for name, parameter in state.model.named_parameters():
        for key, value in state.optimizer.state.get(parameter, {}).items():
            where = f"optimizer.{name}.{key}"
            if isinstance(value, torch.Tensor):
                tensors[where] = value
            else:
                numbers[where] = value
    return tensors, numbers


def _restore_optimizer(
    state: TrainState, tensors: dict[str, torch.Tensor], numbers: dict[str, Number]
) -> None:
    own = {name: tensor for name, tensor in tensors.items() if name.startswith("optimizer.")}
    values: dict[str, torch.Tensor | Number] = {**own, **numbers}
    for name, parameter in state.model.named_parameters():
        prefix = f"optimizer.{name}."
        for where in [where for where in values if where.startswith(prefix)]:
            value = values.pop(where)
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                # Strides too: the fused update walks parameter and momentum side by side.
                value = torch.empty_like(parameter).copy_(value)
            elif isinstance(value, torch.Tensor):
                value = value.to(parameter.device)
            state.optimizer.state[parameter][where.removeprefix(prefix)] = value
    if values:
        raise KeyError(f"no parameter for {', '.join(sorted(values))}")
