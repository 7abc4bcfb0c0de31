"""``verify resume``: whether a run, killed on this machine and resumed, ends with the bits of a whole one."""

from __future__ import annotations

import math
import os
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rescli.errors import CheckpointError, UsageError
from rescli.files import write_atomically
from rescli.hardware.numerics import choose_device, choose_precision
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.runs.metrics_log import read_metrics
from rescli.runs.record import RunRecord, read_record
from rescli.runs.resuming.same_end import compare_ends
from rescli.runs.saved_state import SavedState, load_state
from rescli.spec.load import spec_from_dict
from rescli.spec.run import RunSpec
from rescli.spec.toml import to_toml
from rescli.workflows.arguments import check_count
from rescli.workflows.notes import with_notes
from rescli.workflows.results.resume_proof import Kill, ResumeProof
from rescli.workflows.running.longer import fill_copy
from rescli.workflows.trust.children import (
    Child,
    Launch,
    Moment,
    TooSoon,
    Training,
    in_python,
    patience_for,
    resume_to_the_end,
    train_and_kill,
    train_whole,
)

__all__ = ["verify_resume"]

_FEWEST, _MOST = 12, 400
_SECONDS = 15.0
"""Of training in the copy that is left alone, where the record tells what an iteration takes."""
_SAVES = 5
_TRIES = 3


@with_notes
def verify_resume(
    run: str | os.PathLike[str],
    *,
    iterations: int | None = None,
    kills: int = 1,
    seed: int | None = None,
    device: str = "auto",
    data_root: str | os.PathLike[str] | None = None,
    launch: Launch = in_python,
    on_stage: Callable[[str], None] = lambda _line: None,
) -> ResumeProof:
    """Prove that a killed run, resumed on this machine, ends with the bits of one that was left alone.

    A copy of the run goes on from its newest saved state, or from the beginning where it has none: once
    whole, and once killed with SIGKILL at random moments and resumed, each in processes of their own. The run
    itself is only read.

    Args:
        run: its directory, or the run itself; finished or not.
        iterations: how many the copies are trained for; None for what takes some 15 seconds, and
            the end of an epoch where that is near.
        kills: how often.
        seed: decides their moments; None for others each time.
        device: ``auto`` for the run's own where it is here, else the best that is.
        data_root: where the images lie; None for where the run had them.
        launch: how a process that trains is begun.
        on_stage: called with what is done next.

    Returns:
        What was compared, equal or not: nothing is raised for a difference.

    Raises:
        RunDirError: no run directory.
        CheckpointError: the run's state is damaged.
        DataError: images missing or damaged.
        UsageError: too few iterations to be killed within.
        VerificationError: the resume itself failed.

    Example:
        >>> import rescli
        >>> small = {"iterations": 6, "data.batch_size": 16, "data.dataset.num_train": 200}
        >>> run = rescli.train("quickstart", changes=small, out="runs/v", device="cpu", progress=False)
        >>> rescli.verify_resume(run, iterations=8).ok
        True
    """
    check_count("iterations", iterations, least=4, most=10**6)
    check_count("kills", kills, least=1, most=100)
    check_count("seed", seed, least=0)
    began = time.monotonic()
    chosen = seed if seed is not None else secrets.randbelow(10**6)
    dice = random.Random(chosen)
    original = RunDir.open(Path(run))
    root = Path(data_root).expanduser().absolute() if data_root is not None else None
    job = _job(original, iterations, device, root)
    with _temporary() as folder:
        whole = RunDir(folder / "whole")
        on_stage(f"training a copy of {original.path}: {job.length} iterations from {job.first_step}, whole")
        timeline = train_whole(launch(job.prepare(whole)), whole)
        for attempt in range(_TRIES):
            killed = RunDir(folder / f"killed-{attempt}")
            moments = _draw(dice, timeline, job.first_step, kills, share=0.9 / 2**attempt)
            try:
                done = _kill_and_resume(job, killed, timeline, moments, launch, on_stage)
                break
            except TooSoon:
                on_stage("it ended before it could be killed; once more, with earlier moments")
        else:
            raise UsageError(
                f"the copy ends too soon to be killed: {job.length} iterations take "
                f"{timeline.ended:.1f} s here.",
                remedy=Remedy("iterations", 10 * job.length),
            )
        compared, tensors, difference = compare_ends(whole, killed)
        record = read_record(whole)
        rows = [row for row in read_metrics(whole.metrics) if row["iteration"] > job.first_step]
        return ResumeProof(
            run=original.path,
            from_iteration=job.first_step,
            iterations=job.length,
            saved_states=_multiples(job.spec.checkpoint.every, job.first_step, job.spec.iterations),
            evaluations=sum(row["event"] == "val" for row in rows),
            epoch_borders=_epoch_borders(job, record["data"]["num_images"]["train"]),
            tensors=tensors,
            kills=done,
            seed=chosen,
            device=record["device"],
            precision=record["precision"],
            engine=record["engine"],
            kernels=record["kernels"],
            convolutions=record["convolutions"]["forward"]
            if record["convolutions"]["forward"] == record["convolutions"]["weight_gradient"]
            else f"torch and {record['convolutions']['weight_gradient']}",
            threads=record["threads"],
            compared=compared,
            difference=difference,
            seconds=time.monotonic() - began,
            notes=tuple(job.notes),
        )


@dataclass(frozen=True)
class _Job:
    """What both copies do."""

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


def _job(original: RunDir, iterations: int | None, asked_device: str, root: Path | None) -> _Job:
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
    elif not is_same:
        precision = choose_precision("auto", choose_device(device))
        saved = replace(saved, device=device, precision=precision, engine="eager", kernels="plain")
    shortened = spec_from_dict({**spec.to_dict(), **changes})
    if first == 0:
        notes.append("the run has no saved state: the copies began anew")
    if first + length > spec.iterations:
        notes.append("beyond the plan of the run, whose schedule goes on as it stands")
    notes.append(
        f"not proved: another machine, another number of threads, power cuts, and what comes after "
        f"{length} iterations"
    )
    return _Job(original, shortened, saved, device, root, notes)


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


def _draw(dice: random.Random, timeline: Training, first_step: int, kills: int, share: float) -> list[Moment]:
    """Moments in their order, each between two marks of the run that was left alone."""
    marks = timeline.moments(first_step)
    places = sorted(dice.randrange(len(marks)) for _ in range(kills))
    return [Moment(marks[k][0].step, dice.uniform(0, share) * marks[k][1]) for k in places]


def _kill_and_resume(
    job: _Job,
    run_dir: RunDir,
    timeline: Training,
    moments: list[Moment],
    launch: Launch,
    on_stage: Callable[[str], None],
) -> tuple[Kill, ...]:
    child, done = job.prepare(run_dir), []
    patience = patience_for(timeline)
    for moment in moments:
        near = timeline.iteration_at(moment, job.first_step)
        on_stage(f"training another copy, to be killed near iteration {near}")
        step = train_and_kill(launch(child), run_dir, moment, patience)
        done.append(Kill(near, moment.seconds, step or 0))
        child = Child(run_dir.path)
    on_stage(f"resuming it, from iteration {done[-1].went_on_from}")
    resume_to_the_end(launch(child), run_dir, patience)
    return tuple(done)


def _multiples(every: int, first: int, last: int) -> int:
    return last // every - first // every + (last % every != 0)


def _epoch_borders(job: _Job, images: int) -> int:
    batch = job.spec.data.batch_size
    return (job.spec.iterations * batch - 1) // images - max(0, job.first_step * batch - 1) // images


@contextmanager
def _temporary() -> Iterator[Path]:
    """A folder that is gone after the block, however that ends."""
    try:
        made = tempfile.TemporaryDirectory(prefix="rescli-verify-", ignore_cleanup_errors=True)
    except OSError as error:
        raise UsageError(
            f"there is no place for the copies: {error.strerror or error}.",
            hint="make room in the folder for temporary files, or name another by TMPDIR",
        ) from error
    with made as folder:
        yield Path(folder)
