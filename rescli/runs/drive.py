"""The life of a run from its parts to its record; the command line and notebooks call it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from rescli.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    Interrupted,
    RescliError,
    UsageError,
    first_line,
)
from rescli.hardware.numerics import Numerics, choose_device, choose_precision
from rescli.hardware.ranks import Ranks, num_ranks, rank_device
from rescli.models.failure import failed_module
from rescli.plan import make_plan
from rescli.runs.assembly import Assembly, assemble
from rescli.runs.directory import RunDir, resume_command
from rescli.runs.metrics_log import MetricsLog
from rescli.runs.record import read_record
from rescli.runs.saved_state import SavedState, load_state
from rescli.runs.saver import RunRecorder, data_record
from rescli.spec.run import RunSpec
from rescli.training.events import EngineChosen, Sink, Stopped
from rescli.training.fit import fit

__all__ = ["execute", "numerics_for", "prepare_resume"]


def execute(
    assembly: Assembly,
    run_dir: RunDir | None,
    *,
    sinks: Sequence[Sink] = (),
    should_stop: Callable[[], bool] = lambda: False,
    saved: SavedState | None = None,
) -> dict[str, Any]:
    """Train to the end of the plan; the caller holds the lock of ``run_dir``.

    run_dir: None for a rank that writes nothing; its record is empty.

    sinks: called with every event, after it is on disk. should_stop: asked before every iteration
    and every batch of an evaluation.
    saved: where to go on from; None begins at iteration 0.

    Returns:
        The record, as record.json holds it.

    Raises:
        Interrupted: ``should_stop`` said so; the state is saved.
        DivergedError: the loss is no longer finite; the last good checkpoint is named.
        CheckpointError: the disk is full or not writable.
        UsageError: the device has not enough memory, or a plugin's network raised something.
    """
    plan = make_plan(assembly.spec)
    with _explaining(assembly):
        state = assembly.new_state()
        if saved is not None:
            saved.restore(state)
        chosen = assembly.choose_engine(state)
    engine = chosen.engine
    events = fit(
        state,
        engine,
        plan,
        evaluate=lambda model: assembly.evaluate_val(model, forward=engine.forward, should_stop=should_stop),
        should_stop=_agreed(should_stop, assembly.ranks),
        waited_seconds=assembly.waited_seconds,
    )
    if run_dir is None:
        with _explaining(assembly):
            for event in events:
                if isinstance(event, Stopped):
                    raise Interrupted(f"stopped after iteration {event.step} of {plan.total_steps}.")
        return {}
    keep = (saved.metrics_bytes, saved.metrics_sha256) if saved else (0, None)
    with (
        closing(MetricsLog(run_dir.metrics, keep_bytes=keep[0], keep_sha256=keep[1])) as log,
        RunRecorder(run_dir, assembly, state, plan, chosen=chosen, log=log) as recorder,
    ):
        all_sinks: list[Sink] = [log, recorder, *sinks]
        kernels = assembly.kernels
        begun = EngineChosen(state.step, engine.name, kernels.name, chosen.why_slower, kernels.why_plain)
        try:
            with _explaining(assembly):
                for event in itertools.chain([begun], events):
                    for sink in all_sinks:
                        sink(event)
                    if isinstance(event, Stopped):
                        raise Interrupted(
                            f"stopped after iteration {event.step} of {plan.total_steps}; "
                            "the state is saved.",
                            hint=resume_command(run_dir.path),
                        )
        except DivergedError as error:
            with suppress(CheckpointError):  # that it diverged is what matters
                recorder.close("diverged")
            raise DivergedError(str(error), hint=f"{_last_good(run_dir)}; {error.hint}") from error
        except (CheckpointError, DataError, UsageError):
            with suppress(CheckpointError):  # the disk may be too full for the record as well
                recorder.close("failed")
            raise
    return recorder.record


@contextmanager
def _explaining(assembly: Assembly) -> Iterator[None]:
    """What is raised where memory ends, a plugin's network fails or another process is lost, in words."""
    batch_size, ranks = assembly.spec.data.batch_size, assembly.ranks
    try:
        yield
    except Exception as error:
        reason = first_line(error)
        # torch.OutOfMemoryError on a GPU; the CPU's allocator has no class of its own.
        if isinstance(error, RuntimeError) and "memory" in str(error):
            raise UsageError(
                f"{assembly.numerics.device} has no memory for batches of {batch_size}: {reason}",
                hint=f"--batch-size {max(1, batch_size // 2)}",
            ) from error
        if failure := failed_module(error, assembly.spec.model.name):
            raise failure from error
        if isinstance(error, RuntimeError) and ranks.size > 1:
            raise RescliError(f"one of the {ranks.size} processes was lost: {reason}") from error
        raise


def _agreed(should_stop: Callable[[], bool], ranks: Ranks) -> Callable[[], bool]:
    """All ranks stop before the same iteration, whichever was told to."""
    return should_stop if ranks.size == 1 else lambda: ranks.any(should_stop())


def prepare_resume(
    run_dir: RunDir,
    *,
    data_root: Path | None,
    device: str,
    workers: int | None = None,
    engine: str | None = None,
    kernels: str | None = None,
) -> tuple[Assembly, SavedState | None]:
    """The parts of a run that was stopped, and its newest state; None where none was saved yet.

    The precision, the engine, the kernels and the number of threads of the first start are kept: other sums
    are other bits. ``engine`` and ``kernels`` name others; ``data_root`` another place of the images than the
    run's.

    Raises:
        CheckpointError: the state is damaged, or gone though one was or may have been saved; or the note of
            the data root is damaged.
        RunDirError: it belongs to another spec. DataError: the images are not those of the run.
        UsageError: the run's device is not there.
    """
    spec = run_dir.read_spec()
    saved = load_state(run_dir.state, spec)
    if data_root is None:
        data_root = run_dir.read_data_root()
    if saved is None:
        _check_nothing_was_saved(run_dir)
        numerics = numerics_for(spec, device)
        fresh = assemble(
            spec,
            numerics=numerics,
            data_root=data_root,
            workers=workers,
            engine=engine or "auto",
            kernels=kernels or "auto",
        )
        return fresh, None
    numerics = Numerics(_device_to_resume_on(saved, device), saved.precision)
    if numerics.device.type == "cpu":
        torch.set_num_threads(saved.threads)
    if data_root is None and saved.data_root is not None:
        data_root = Path(saved.data_root)
    engine, kernels = _as_begun(saved, numerics, engine, kernels)
    assembly = assemble(
        spec,
        numerics=numerics,
        data_root=data_root,
        workers=workers,
        engine=engine,
        kernels=kernels,
    )
    if data_record(assembly) != saved.data:
        raise DataError(
            f"the images are not those that {run_dir.path} was trained on: their fingerprints differ.",
            hint="give the data it began with: --data-root DIR",
        )
    return assembly, saved


def _as_begun(
    saved: SavedState, numerics: Numerics, engine: str | None, kernels: str | None
) -> tuple[str, str]:
    """The engine and the kernels of the first start, unless others are named or the machine is another."""
    if numerics.device.type != torch.device(saved.device).type or num_ranks() > 1:
        return engine or "auto", kernels or "auto"
    if engine is not None and engine != saved.engine:
        return engine, kernels or "auto"
    return saved.engine, kernels or saved.kernels


def _check_nothing_was_saved(run_dir: RunDir) -> None:
    """To begin again would overwrite what the run has: only where it has nothing."""
    gone = f"{run_dir.state / 'latest.json'} is gone"
    hint = (
        f"its checkpoints can still be evaluated; to train again: rescli train {run_dir.spec} --out NEW_DIR"
    )
    try:
        step = read_record(run_dir).get("last_saved_iteration")
    except CheckpointError as error:
        # A checkpoint is written just before its state.
        if run_dir.last.is_file():
            raise CheckpointError(
                f"{gone}, and whether a state was saved nobody can say: {error}; {run_dir.last} is there.",
                hint=hint,
            ) from error
        return
    if step is not None:
        raise CheckpointError(f"{run_dir.path} saved a state at iteration {step}, but {gone}.", hint=hint)


def _device_to_resume_on(saved: SavedState, requested: str) -> torch.device:
    if requested != "auto":
        return choose_device(rank_device(requested))
    try:
        # A rank's own number is the launcher's to say.
        return choose_device(rank_device(saved.device.partition(":")[0]))
    except UsageError as error:
        raise UsageError(
            f"the run was on {saved.device}, which is not here.",
            hint="--device cpu (or another) goes on there, but not bit for bit",
        ) from error


def numerics_for(spec: RunSpec, device: str) -> Numerics:
    """The device by name, and the precision that the spec asks for there."""
    chosen = choose_device(rank_device(device))
    return Numerics(chosen, choose_precision(spec.precision, chosen))


def _last_good(run_dir: RunDir) -> str:
    for path in (run_dir.last, run_dir.best):
        if path.is_file():
            return f"the last good checkpoint is {path}"
    return "no checkpoint was written yet"
