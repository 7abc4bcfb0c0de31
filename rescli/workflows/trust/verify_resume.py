"""``verify resume``: whether a run, killed on this machine and resumed, ends with the bits of a whole one."""

from __future__ import annotations

import os
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rescli.errors import UsageError
from rescli.hardware.disk.staging import staged_beside
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.runs.metrics_log import read_metrics
from rescli.runs.resuming.same_end import compare_ends
from rescli.runs.resuming.state_pointer import saved_step
from rescli.runs.stored_record import read_record
from rescli.workflows.arguments import check_count
from rescli.workflows.notes import with_notes
from rescli.workflows.results.resume_proof import Kill, ResumeProof
from rescli.workflows.trust.children import (
    Child,
    Launch,
    TooSoon,
    in_python,
    patience_for,
    resume_to_the_end,
    train_and_kill,
    train_whole,
)
from rescli.workflows.trust.copies import Job, plan_copies
from rescli.workflows.trust.timeline import Moment, Training

__all__ = ["verify_resume"]

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
        iterations: how many the copies are trained for; None for what takes some 10 seconds, and
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
    job = plan_copies(original, iterations, device, root)
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
            saved_states=job.saved_states,
            evaluations=sum(row["event"] == "val" for row in rows),
            epoch_borders=job.epoch_borders(record["data"]["num_images"]["train"]),
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


def _draw(dice: random.Random, timeline: Training, first_step: int, kills: int, share: float) -> list[Moment]:
    """Moments in their order, each between two marks of the run that was left alone."""
    marks = timeline.moments(first_step)
    places = sorted(dice.randrange(len(marks)) for _ in range(kills))
    return [Moment(marks[k][0].step, dice.uniform(0, share) * marks[k][1]) for k in places]


def _kill_and_resume(
    job: Job,
    run_dir: RunDir,
    timeline: Training,
    moments: list[Moment],
    launch: Launch,
    on_stage: Callable[[str], None],
) -> tuple[Kill, ...]:
    child, done = job.prepare(run_dir), []
    patience = patience_for(timeline)
    for number, planned in enumerate(moments):
        near = timeline.iteration_at(planned, job.first_step)
        doing = "resuming that" if number else "training another copy"
        on_stage(f"{doing}, to be killed near iteration {near}")
        came = train_and_kill(launch(child), run_dir, planned, patience)
        done.append(Kill(timeline.iteration_at(came, job.first_step), came.seconds, came.step or 0))
        child = _going_on(job, run_dir)
    on_stage(f"resuming it, from iteration {done[-1].went_on_from}")
    resume_to_the_end(launch(child), run_dir, patience)
    return tuple(done)


def _going_on(job: Job, run_dir: RunDir) -> Child:
    """What resumes a copy: with its saved state; killed before the first, where and with what it began."""
    if saved_step(run_dir) is not None:
        return Child(run_dir.path)
    return Child(run_dir.path, device=job.device, data_root=job.data_root)


@contextmanager
def _temporary() -> Iterator[Path]:
    """A folder that is gone after the block, or by the next one where this process is killed."""
    with ExitStack() as held:
        try:
            folder = held.enter_context(staged_beside(Path(tempfile.gettempdir(), "rescli-verify")))
            folder.chmod(0o700)  # others work there, too
        except OSError as error:
            raise UsageError(
                f"there is no place for the copies: {error.strerror or error}.",
                hint="make room in the folder for temporary files, or name another by TMPDIR",
                page="disk-full-read-only-or-failing",
            ) from error
        yield folder
