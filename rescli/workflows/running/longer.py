"""A run that goes on for longer than planned: in a directory of its own, from the state of the first."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from rescli.errors import CheckpointError, RescliError, RunDirError, UsageError
from rescli.files import read_file, write_atomically, write_json, writing
from rescli.hardware.launcher import launched
from rescli.plan import make_plan
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.runs.record import now
from rescli.runs.saved_state import SavedState, load_state, save_state
from rescli.runs.stored_record import RunRecord, read_record
from rescli.spec.load import spec_from_dict
from rescli.spec.run import RunSpec
from rescli.workflows.results.run import Longer

__all__ = ["begin_longer", "fill_copy"]


def begin_longer(first: RunDir, iterations: int | None, out: Path | None) -> tuple[RunDir, Longer]:
    """Make the directory of a run that goes on from the newest state of another, which stays as it is.

    The new spec is that of the first run with more iterations; momentum, step, log and best checkpoint are
    taken along. Where the schedule looks at no error, or where the first run ended at one of its evaluations,
    it ends with the bits of a run that was planned for so many iterations from the start.

    Args:
        first: the run whose state is taken.
        iterations: of the whole course, those that are done among them.
        out: the new run directory.

    Returns:
        The new run, to be resumed, and what it goes on from.

    Raises:
        UsageError: so many iterations were planned already, one of the two is not given, or several
            processes are at it.
        RunDirError: the first run saved no state, or ``out`` holds something.
        CheckpointError: its state or its log is damaged.
    """
    if iterations is None or out is None:
        raise UsageError("to go on for longer takes both, iterations and out: a run keeps its own plan.")
    if launched():
        raise UsageError("a longer run is begun in one process; stopped, it may go on in several.")
    spec = first.read_spec()
    if iterations <= spec.iterations:
        raise UsageError(
            f"{first.path} was planned for {counted(spec.iterations, 'iteration')}; to go on for longer "
            f"takes more than that, not {iterations}."
        )
    longer = spec_from_dict({**spec.to_dict(), "iterations": iterations})
    with RunDir.create(out) as new:
        try:
            with first.locked():
                saved = load_state(first.state, spec)
                if saved is None:
                    raise RunDirError(
                        f"{first.path} saved no state to go on from.",
                        remedy=Remedy("resume", str(first.path)),
                        page="resume-refused",
                    )
                fill_copy(new, first, longer, saved)
        except BaseException:
            new.begin_again()
            new.discard()
            raise
    lr = make_plan(longer).lr(saved.step, saved.numbers["trigger"])
    return RunDir(out), Longer(first.path, lr)


def fill_copy(
    new: RunDir, first: RunDir, spec: RunSpec, saved: SavedState, data_root: Path | None = None
) -> None:
    """Write all that a run needs to go on from a saved state of another, which is only read.

    Args:
        new: the run that is to go on, an empty directory.
        first: the other.
        spec: of the new one.
        saved: the state.
        data_root: where its images lie; None for where the first one notes them.

    Raises:
        CheckpointError: the log of the first run is damaged, or there is no room.
    """
    new.write_spec(spec, data_root or first.read_data_root())
    try:
        log = read_file(first.metrics)[: saved.metrics_bytes]
    except OSError as error:
        raise CheckpointError(
            f"{first.metrics} cannot be read: {error.strerror or error}.", page="resume-refused"
        ) from error
    if hashlib.sha256(log).hexdigest() != saved.metrics_sha256:
        raise CheckpointError(
            f"{first.metrics} is damaged: its rows are not those that were written.", page="resume-refused"
        )
    write_atomically(new.metrics, log, error=CheckpointError)
    for old, copy in ((first.best, new.best), (first.last, new.last)):
        if old.is_file():
            with writing(copy, error=CheckpointError):
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(old, copy)
    with writing(new.state, error=CheckpointError):
        new.state.mkdir(exist_ok=True)
    save_state(new.state, saved, spec)
    write_json(new.record, _record(first, spec, saved), error=CheckpointError)


def _record(first: RunDir, spec: RunSpec, saved: SavedState) -> RunRecord:
    """The record until the run goes on: what it took over, and from where."""
    record: RunRecord = {
        "name": spec.name,
        "status": "interrupted",
        "spec_sha256": spec.fingerprint(),
        "started": now(),
        "updated": now(),
        "continues": {
            "run": str(first.path.absolute()),
            "iteration": saved.step,
            "iterations": first.read_spec().iterations,
            "spec_sha256": first.read_spec().fingerprint(),
        },
        "iterations_done": saved.step,
        "last_saved_iteration": saved.step,
        "results": {},
    }
    try:
        before = read_record(first)
    except RescliError:  # what training needs lies in the state
        return record
    for key in (
        *("resumed_at", "sessions", "shared_cpu_seconds", "waited_for_data_seconds", "skipped_images"),
    ):
        if key in before:
            record[key] = before[key]
    return record
