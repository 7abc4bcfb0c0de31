"""``train`` and ``resume``: one run, from its spec to its record."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rescli import registry
from rescli.errors import CheckpointError, UsageError
from rescli.hardware.launcher import is_first, launched
from rescli.plan import TrainPlan, make_plan
from rescli.report.progress.run import training_progress
from rescli.runs.assembly import Assembly, assemble
from rescli.runs.budget.fit import scale_to_budget
from rescli.runs.directory import RunDir, default_run_path
from rescli.runs.drive import execute, prepare_resume
from rescli.runs.logger import MakeLogger
from rescli.runs.saved_state import SavedState
from rescli.runs.where import Where
from rescli.spec.load import spec_from_dict
from rescli.spec.run import RunSpec
from rescli.training.events import Sink
from rescli.workflows.arguments import checked
from rescli.workflows.notes import with_notes
from rescli.workflows.results.run import Run, RunStart, write_curves
from rescli.workflows.spec import spec as spec_by_name
from rescli.workflows.stopping import Stop, stop_on_interrupt
from rescli.workflows.study import as_seconds

__all__ = ["Progress", "resume", "train"]

_log = logging.getLogger(__name__)

Progress = Callable[[RunSpec, int], AbstractContextManager[Sink]]
"""(spec, iteration to begin at) -> a block whose sink shows the run."""

Stopping = Callable[[], AbstractContextManager[Stop]]


@with_notes
def train(
    spec: RunSpec | str,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    changes: Mapping[str, object] | None = None,
    budget: str | float | None = None,
    device: str = "auto",
    data_root: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    engine: str | None = None,
    kernels: str | None = None,
    on_event: Sink | Sequence[Sink] = (),
    loggers: Sequence[str | MakeLogger] = (),
    progress: Progress | bool | None = None,
    on_start: Callable[[RunStart], None] = lambda _start: None,
    stopping: Stopping = stop_on_interrupt,
) -> Run:
    """Train a network; leaves a run directory with checkpoints, metrics, curves and a record.

    Args:
        spec: what ``rescli.spec`` gives, or a name for it.
        out: the run directory, new or empty; None for a new one below ``runs``.
        seed: decides initial weights, order, crops and flips; None for the spec's.
        changes: keys of the spec and their values, ``{"optimizer.lr": 0.05}``, where ``spec`` is a name.
        budget: shorten the whole schedule to fit, in seconds or as ``"20m"``.
        device: auto, cpu, cuda or mps.
        data_root: where the images lie; None for RESCLI_DATA, else the user's cache.
        workers: processes that decode photographs; None for as many as suit the device.
        engine: auto, eager, graph or compile; None for auto.
        kernels: auto, triton, native or plain; None for auto.
        on_event: called with every event of ``rescli.training.events``; one function or several.
        loggers: names of the plugin group ``rescli.loggers``, or what such a name stands for.
        progress: True for bars, False for none; None for bars on a terminal and in a notebook.
        on_start: called once, when everything is prepared.
        stopping: a block within which somebody may ask the training to stop; Ctrl-C does.

    Returns:
        The run.

    Raises:
        UsageError: a spec, a device or a budget that cannot work, or too little memory.
        DataError: images missing or damaged.
        DivergedError: the loss is no longer finite.
        Interrupted: Ctrl-C or SIGTERM; the state is saved, and ``rescli.resume`` continues.

    Example:
        >>> import rescli
        >>> small = {"iterations": 12, "data.batch_size": 16, "data.dataset.num_train": 200}
        >>> run = rescli.train(rescli.spec("quickstart", small), out="runs/x", device="cpu", progress=False)
        >>> run.record["status"], run.record["iterations_done"]
        ('finished', 12)
    """
    if isinstance(spec, str):
        spec = spec_by_name(spec, changes)
    elif changes:
        raise UsageError("changes go with a name; a spec is changed where it is made.")
    if seed is not None:
        spec = spec_from_dict({**spec.to_dict(), "seed": seed})
    where = checked(Where(device, _path(data_root), workers, engine, kernels))
    whole = spec.resolved(where.data_root)
    plan, seconds = make_plan(whole), as_seconds(budget)
    if seconds is not None and launched():
        raise UsageError("a budget times a step in one process; with several, give iterations.")
    made = _loggers(loggers)
    if not is_first():
        return _follow(
            lambda: (_fitted(whole, plan, where, seconds)[0], None), _path(out) or Path(), stopping
        )
    path = _path(out) or default_run_path(whole, datetime.now())
    with stopping() as stop, RunDir.create(path) as run_dir:
        try:
            with stop.interrupting():
                if seconds is None:
                    run_dir.write_spec(whole, where.data_root)
                assembly, step_seconds = _fitted(whole, plan, where, seconds)
                if seconds is not None:  # only now is it known how long the run will be
                    run_dir.write_spec(assembly.spec, where.data_root)
        except BaseException:
            run_dir.discard()
            raise
        start = RunStart(path, assembly.spec)
        if seconds is not None:
            start = replace(start, whole_spec=whole, step_seconds=step_seconds)
        try:
            return _train(run_dir, assembly, None, start, stop, on_event, made, progress, on_start)
        except (UsageError, CheckpointError):
            # An engine that does not work here, too little memory, weights of another net: nothing was done.
            if not run_dir.record.exists():
                run_dir.discard()
            raise


@with_notes
def resume(
    run: str | os.PathLike[str],
    *,
    device: str = "auto",
    data_root: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    engine: str | None = None,
    kernels: str | None = None,
    on_event: Sink | Sequence[Sink] = (),
    loggers: Sequence[str | MakeLogger] = (),
    progress: Progress | bool | None = None,
    on_start: Callable[[RunStart], None] = lambda _start: None,
    stopping: Stopping = stop_on_interrupt,
) -> Run:
    """Continue a run that was stopped or killed; it ends with the bits of one that never was.

    Args:
        run: its directory, or the run itself.
        device: another device than the run's; ``auto`` for the same.
        data_root: where the images lie now; None for where they were.
        workers: processes that decode photographs; None for as many as suit the device.
        engine: another engine than the run's, whose bits may differ.
        kernels: other kernels than the run's, whose bits may differ.
        on_event: as for ``train``.
        loggers: as for ``train``.
        progress: as for ``train``.
        on_start: as for ``train``.
        stopping: as for ``train``.

    Returns:
        The run; one that is finished already is returned as it is.

    Raises:
        RunDirError: no run directory, or one in use.
        CheckpointError: its state is damaged or gone.
        DataError: the images are not those it was trained on.
        Interrupted: as for ``train``.

    Example:
        >>> import rescli
        >>> small = {"iterations": 12, "data.batch_size": 16, "data.dataset.num_train": 200}
        >>> run = rescli.train("quickstart", changes=small, out="runs/y", device="cpu", progress=False)
        >>> rescli.resume("runs/y", progress=False).record["status"]
        'finished'
    """
    run_dir = RunDir.open(Path(run))
    spec = run_dir.read_spec()
    where = checked(Where(device, _path(data_root), workers, engine, kernels))
    made = _loggers(loggers)
    if not is_first():
        return _follow(lambda: prepare_resume(run_dir, where), run_dir.path, stopping)
    with stopping() as stop, run_dir.locked():
        with stop.interrupting():
            assembly, saved = prepare_resume(run_dir, where)
        start = RunStart(
            run_dir.path,
            spec,
            step=saved.step if saved else 0,
            resumed=True,
            evaluation_due=bool(saved and saved.evaluation_due),
        )
        return _train(run_dir, assembly, saved, start, stop, on_event, made, progress, on_start)


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return Path(given) if given is not None else None


def _loggers(named: Sequence[str | MakeLogger]) -> list[MakeLogger]:
    return [registry.load("loggers", one) if isinstance(one, str) else one for one in named]


def _fitted(
    spec: RunSpec, plan: TrainPlan, where: Where, seconds: float | None
) -> tuple[Assembly, float | None]:
    """The parts of the run, shortened to fit a budget; and what an iteration takes, in seconds."""
    assembly = assemble(spec, where, plan=plan)
    if seconds is None:
        return assembly, None
    fitted = scale_to_budget(assembly, seconds)
    if fitted.warning is not None:
        _log.warning("%s", fitted.warning)
    return assembly.rescheduled(fitted.spec), fitted.step_seconds


def _follow(
    prepared: Callable[[], tuple[Assembly, SavedState | None]], path: Path, stopping: Stopping
) -> Run:
    """Train as one of several processes that writes nothing."""
    with stopping() as stop:
        with stop.interrupting():
            assembly, saved = prepared()
        execute(assembly, None, saved=saved, should_stop=stop)
    return Run(path)


def _train(
    run_dir: RunDir,
    assembly: Assembly,
    saved: SavedState | None,
    start: RunStart,
    stop: Stop,
    on_event: Sink | Sequence[Sink],
    loggers: Sequence[MakeLogger],
    progress: Progress | bool | None,
    on_start: Callable[[RunStart], None],
) -> Run:
    sinks = [on_event] if callable(on_event) else list(on_event)
    on_start(start)
    asked = _Asked(stop)
    try:
        with _shown(progress, start) as shown:
            watched = [shown, *(asked.watching(sink) for sink in sinks)]
            execute(assembly, run_dir, saved=saved, sinks=watched, loggers=loggers, should_stop=asked)
    finally:
        write_curves(run_dir, assembly.spec)
    return Run(run_dir.path)


class _Asked:
    """Also stops where a caller's sink raises KeyboardInterrupt, which saves the state as a signal does."""

    def __init__(self, stop: Stop) -> None:
        self._stop, self._raised = stop, False

    def __call__(self) -> bool:
        return self._raised or self._stop()

    def watching(self, sink: Sink) -> Sink:
        def watched(event: object) -> None:
            try:
                sink(event)  # type: ignore[arg-type]
            except KeyboardInterrupt:
                self._raised = True

        return watched


def _shown(progress: Progress | bool | None, start: RunStart) -> AbstractContextManager[Sink]:
    if progress is False:
        return nullcontext(lambda _event: None)
    if progress is None or progress is True:
        return training_progress(
            name=start.spec.name,
            total_steps=start.spec.iterations,
            start_step=start.step,
            lines=progress is True,
        )
    return progress(start.spec, start.step)
