"""Copies of a run, which go on from its newest state for a few iterations; the run is only read."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rescli.errors import CheckpointError, UsageError
from rescli.files import write_atomically
from rescli.hardware.numerics import Numerics, choose_device, choose_precision
from rescli.runs.directory import RunDir
from rescli.runs.saved_state import SavedState, load_state
from rescli.runs.stored_record import RunRecord, read_record
from rescli.spec.load import spec_from_dict
from rescli.spec.run import RunSpec
from rescli.spec.toml import to_toml
from rescli.training.engines.choose import choose_kernels
from rescli.workflows.running.longer import fill_copy
from rescli.workflows.trust.children import Child

__all__ = ["Job", "plan_copies"]

_FEWEST, _MOST = 12, 400
_SECONDS = 10.0
"""What the iterations of a copy that is left alone are to take, where the record tells how long one takes."""
_SAVES = 5
_TRIES = 3


@dataclass(frozen=True)
class Job:
    """What both copies do.

    Attributes:
        original: the run.
        spec: what they train.
        saved: what they begin with; None for the beginning.
        device: as its name.
        data_root: where the images lie; None for the usual places.
        notes: what is other than in the run, and what is not proved.
    """

    original: RunDir
    spec: RunSpec
    saved: SavedState | None
    device: str
    data_root: Path | None
    notes: list[str]

    @property
    def first_step(self) -> int:
        return self.saved.step if self.saved is not None else 0

    @property
    def saved_states(self) -> int:
        """How many are saved on the way; the last at the end."""
        every, last = self.spec.checkpoint.every, self.spec.iterations
        return last // every - self.first_step // every + (last % every != 0)

    def epoch_borders(self, images: int) -> int:
        """How often a new epoch begins on the way, of so many training images."""
        batch = self.spec.data.batch_size
        return (self.spec.iterations * batch - 1) // images - max(0, self.first_step * batch - 1) // images

    @property
    def length(self) -> int:
        return self.spec.iterations - self.first_step

    def prepare(self, copy: RunDir) -> Child:
        """Write what the first process of a copy begins with."""
        if self.saved is None:
            spec = copy.path.with_name(f"{copy.path.name}.toml")
            write_atomically(spec, to_toml(self.spec.to_dict()).encode())
            return Child(copy.path, spec, self.device, self.data_root)
        copy.path.mkdir()
        fill_copy(copy, self.original, self.spec, self.saved, self.data_root)
        return Child(copy.path)


def plan_copies(original: RunDir, iterations: int | None, asked_device: str, root: Path | None) -> Job:
    """What the copies of a run are to do, which is only read.

    Args:
        original: the run.
        iterations: how many the copies are trained for; None for some seconds of them.
        asked_device: ``auto`` for the run's own where it is here.
        root: where the images lie; None for where the run had them.

    Raises:
        RunDirError: its spec is damaged.
        CheckpointError: its state is damaged.
        UsageError: no such device.
    """
    spec = original.read_spec()
    saved = _newest_state(original, spec)
    try:
        record = read_record(original)
    except CheckpointError:
        record = RunRecord(results={})
    notes: list[str] = []
    trained_on = saved.device if saved is not None else record.get("device", "").split(" ")[0]
    device = _device(trained_on, asked_device)
    is_same = trained_on.partition(":")[0] == device.partition(":")[0]
    if trained_on and not is_same:
        notes.append(
            f"the run was trained on {record.get('device', trained_on)}, and the copies on {device}: this "
            "proves the resume here, not there"
        )
    if (ranks := record.get("ranks") or 1) > 1:
        notes.append(
            f"the run was trained by {ranks} processes, and the copies by one: not proved for {ranks}"
        )
    root = (
        root or original.noted_data_root() or (Path(saved.data_root) if saved and saved.data_root else None)
    )
    first = saved.step if saved is not None else 0
    length = iterations or _fitting(spec, record, first, known_speed=is_same)
    changes: dict[str, object] = {
        "iterations": first + length,
        "checkpoint": {"every": max(1, length // _SAVES)},
        "evaluation": {"every": max(1, length // 2)},
    }
    if saved is None:
        changes["metrics"] = {"every": min(spec.metrics.every, max(1, length // _SAVES))}
        known = record.get("precision") if is_same else None
        # Two starts of auto may decide otherwise on a busy machine.
        changes["precision"] = known or choose_precision(spec.precision, choose_device(device))
    else:
        saved = _as_it_works_here(saved, device, notes, is_same=is_same)
    shortened = spec_from_dict({**spec.to_dict(), **changes})
    if first == 0:
        notes.append("the run has no saved state: the copies began anew")
    if first + length > spec.iterations:
        notes.append("beyond the plan of the run, whose schedule goes on as it stands")
    notes.append(
        f"not proved: another machine, another number of threads, power cuts, and what comes after "
        f"{length} iterations"
    )
    return Job(original, shortened, saved, device, root, notes)


def _as_it_works_here(saved: SavedState, device: str, notes: list[str], *, is_same: bool) -> SavedState:
    """The state, which goes on with what the run had, or where that does not work here with what does."""
    found = choose_device(device)
    precision = saved.precision if is_same else choose_precision("auto", found)
    numerics = Numerics(found, precision)
    if is_same:
        try:
            choose_kernels(saved.kernels, numerics, engine=saved.engine, convolutions=saved.convolutions)
            return saved
        except UsageError as error:
            notes.append(f"other kernels than the run's: {error}")
    now = choose_kernels("auto", numerics, engine="auto")
    return replace(
        saved,
        device=device,
        precision=precision,
        engine="auto",
        kernels="auto",
        convolutions=now.convolutions.name,
    )


def _newest_state(run_dir: RunDir, spec: RunSpec) -> SavedState | None:
    """A run that is being trained replaces its state now and then, also while it is read."""
    for _ in range(_TRIES):
        with suppress(CheckpointError):
            return load_state(run_dir.state, spec)
        time.sleep(0.2)
    return load_state(run_dir.state, spec)


def _device(trained_on: str, asked: str) -> str:
    if asked != "auto" or not trained_on:
        return str(choose_device(asked))
    try:
        return str(choose_device(trained_on.partition(":")[0]))
    except UsageError:
        return str(choose_device("auto"))


def _fitting(spec: RunSpec, record: RunRecord, first: int, *, known_speed: bool) -> int:
    """How many iterations take some seconds, and a few more where an epoch then ends."""
    length, batch = _FEWEST, spec.data.batch_size
    if known_speed and (speed := record.get("images_per_second")):
        length = max(_FEWEST, min(_MOST, int(_SECONDS * speed / batch)))
    images = record.get("data", {}).get("num_images", {}).get("train")
    if images:
        border = math.ceil((first * batch + 1) / images) * images
        beyond = math.ceil(border / batch) + 2 - first
        if length < beyond <= 2 * length:
            length = beyond
    return length
