"""``train`` and ``resume``: one run, from its spec to its record."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from rescli.errors import CheckpointError, Interrupted, UsageError
from rescli.hardware.launcher import is_first, launched
from rescli.runs.assembly import Assembly, assemble
from rescli.runs.budget.one_run import RunBudget
from rescli.runs.directory import RunDir, default_run_path
from rescli.runs.logger import MakeLogger
from rescli.runs.resuming.prepare import prepare_resume
from rescli.runs.saved_state import load_state
from rescli.runs.where import Where
from rescli.spec.load import spec_from_dict
from rescli.spec.run import RunSpec
from rescli.training.events import Sink
from rescli.workflows.arguments import checked
from rescli.workflows.notes import with_notes
from rescli.workflows.results.planned_run import PlannedRun
from rescli.workflows.results.run import Run, RunStart
from rescli.workflows.running.longer import begin_longer
from rescli.workflows.running.observers import Observers, Progress
from rescli.workflows.running.one_run import Stopping, follow, train_to_the_end
from rescli.workflows.running.stopping import stop_on_interrupt
from rescli.workflows.running.study import as_seconds
from rescli.workflows.running.together import plan_together
from rescli.workflows.spec import dry_run
from rescli.workflows.spec import spec as spec_by_name

__all__ = ["resume", "train"]

_log = logging.getLogger(__name__)


@with_notes
def train(
    spec: RunSpec | PlannedRun | str | os.PathLike[str],
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
    threads: int | None = None,
    on_event: Sink | Sequence[Sink] | None = None,
    loggers: str | MakeLogger | Sequence[str | MakeLogger] = (),
    progress: Progress | bool | None = None,
    on_start: Callable[[RunStart], None] = lambda _start: None,
    stopping: Stopping = stop_on_interrupt,
) -> Run:
    """Train a network; leaves a run directory with checkpoints, metrics, curves and a record.

    Args:
        spec: what ``rescli.spec`` gives, or a name or a .toml file for it.
        out: the run directory, new or empty; None for a new one below ``runs``.
        seed: decides initial weights, order, crops and flips; None for the spec's.
        changes: keys of the spec and their values, ``{"optimizer.lr": 0.05}``, where ``spec`` is a name.
        budget: shorten the whole schedule to fit, in seconds or as ``"20m"``. The speed is looked at again
            when a twentieth of the run is done: where it is quite another, the run begins again, once.
        device: auto, cpu, cuda or mps.
        data_root: where the images lie; None for RESCLI_DATA, else the user's cache.
        workers: processes that decode photographs; None for as many as suit the device.
        engine: auto, eager, graph or compile; None for auto.
        kernels: auto, triton, native or plain; None for auto.
        threads: of the CPU, that compute; None for as many as there are cores.
        on_event: called with every event of ``rescli.training.events``; one function or several.
        loggers: names of the plugin group ``rescli.loggers``, or what such a name stands for; metrics.jsonl
            is always written.
        progress: True for bars, or lines where nothing can be drawn; False for nothing; None for bars on a
            terminal and in a notebook; or a block of your own.
        on_start: called when everything is prepared.
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
    began = time.perf_counter()
    planned = _planned(spec, seed, changes, data_root, device)
    seconds = as_seconds(budget)
    if seconds is not None and launched():
        raise UsageError("a budget times a step in one process; with several, give iterations.")
    if not isinstance(spec, PlannedRun) and is_first():  # who made a plan has seen what it says
        for odd in planned.oddities(shortened=seconds is not None):
            _log.warning("%s", "; try ".join([odd.text, *map(str, odd.remedies)]))
    whole, where = planned.spec, checked(Where(device, _path(data_root), workers, engine, kernels, threads))
    observers = Observers.of(on_event, loggers, progress, on_start)
    if not is_first():
        return follow(
            lambda: (assemble(whole, where, plan=planned.plan), None), _path(out) or Path(), stopping
        )
    given = _path(out)
    path = given or default_run_path(whole, datetime.now())
    limit = RunBudget(seconds, began=began) if seconds is not None else None
    with stopping() as stop, RunDir.create(path, numbered=given is None) as run_dir:
        path = run_dir.path
        try:
            with stop.interrupting():
                if limit is None:  # else it is known only later how long the run will be
                    run_dir.write_spec(whole, where.data_root)
                assembly = assemble(whole, where, plan=planned.plan)
                if limit is None:
                    start = RunStart(path, whole, head=assembly.head)
                else:
                    assembly, start = _shortened(assembly, limit, run_dir)
        except BaseException:
            run_dir.discard()
            raise
        try:
            try:
                return train_to_the_end(run_dir, assembly, None, start, stop, observers, limit)
            except Interrupted:
                if limit is None or limit.why_off is None or stop():
                    raise
            _log.warning("%s", limit.why_off)
            run_dir.begin_again()
            assembly, start = _shortened(assembly.rescheduled(whole), limit, run_dir)
            return train_to_the_end(run_dir, assembly, None, start, stop, observers, limit)
        except (UsageError, CheckpointError):
            # An engine that does not work here, too little memory, weights of another net: nothing was done.
            if not run_dir.record.exists():
                run_dir.discard()
            raise


@with_notes
def resume(
    run: str | os.PathLike[str],
    *,
    skip_damaged: bool | None = None,
    iterations: int | None = None,
    out: str | os.PathLike[str] | None = None,
    device: str = "auto",
    data_root: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    engine: str | None = None,
    kernels: str | None = None,
    threads: int | None = None,
    on_event: Sink | Sequence[Sink] | None = None,
    loggers: str | MakeLogger | Sequence[str | MakeLogger] = (),
    progress: Progress | bool | None = None,
    on_start: Callable[[RunStart], None] = lambda _start: None,
    stopping: Stopping = stop_on_interrupt,
) -> Run:
    """Continue a run that was stopped or killed; it ends with the bits of one that never was.

    Args:
        run: its directory, or the run itself.
        skip_damaged: from now on leave out damaged photographs, or not; the record says from when. None for
            what the run did so far.
        iterations: more than it was planned for, to go on for longer in the new directory ``out``: momentum
            and step are kept, the schedule goes on as it stands, and the first run stays as it is.
        out: that directory.
        device: another device than the run's; ``auto`` for the same.
        data_root: where the images lie now; None for where they were.
        workers: processes that decode photographs; None for as many as suit the device.
        engine: another engine than the run's, whose bits may differ.
        kernels: other kernels than the run's, whose bits may differ.
        threads: another number of the CPU's threads than the run's, whose bits may differ.
        on_event: as for ``train``.
        loggers: as for ``train``.
        progress: as for ``train``.
        on_start: as for ``train``.
        stopping: as for ``train``.

    Returns:
        The run; one that is finished already is returned as it is.

    Raises:
        RunDirError: no run directory, or one in use.
        UsageError: no more iterations than were planned.
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
    run_dir, longer = RunDir.open(Path(run)), None
    if iterations is not None or out is not None:
        run_dir, longer = begin_longer(run_dir, iterations, _path(out))
    spec = run_dir.read_spec()
    where = checked(Where(device, _path(data_root), workers, engine, kernels, threads))
    observers = Observers.of(on_event, loggers, progress, on_start)
    # Its state is read to say so where it is damaged; images, device and engine are not needed.
    if Run(run_dir.path).is_finished and load_state(run_dir.state, spec) is not None:
        if is_first():
            on_start(RunStart(run_dir.path, spec, step=spec.iterations, resumed=True))
        return Run(run_dir.path)
    if not is_first():
        return follow(
            lambda: prepare_resume(run_dir, where, skip_damaged=skip_damaged), run_dir.path, stopping
        )
    with stopping() as stop, run_dir.locked():
        with stop.interrupting():
            assembly, saved = prepare_resume(run_dir, where, skip_damaged=skip_damaged)
            if assembly.spec != spec:
                run_dir.write_spec(assembly.spec)
        start = RunStart(
            run_dir.path,
            assembly.spec,
            step=saved.step if saved else 0,
            resumed=True,
            evaluation_due=bool(saved and saved.evaluation_due),
            longer=longer,
        )
        return train_to_the_end(run_dir, assembly, saved, start, stop, observers)


def _planned(
    spec: RunSpec | PlannedRun | str | os.PathLike[str],
    seed: int | None,
    changes: Mapping[str, object] | None,
    data_root: str | os.PathLike[str] | None,
    device: str,
) -> PlannedRun:
    if changes and isinstance(spec, RunSpec | PlannedRun):
        raise UsageError("changes go with a name; a spec is changed where it is made.")
    if isinstance(spec, PlannedRun):
        if seed is None:
            return spec
        spec = spec.spec
    elif not isinstance(spec, RunSpec):
        spec = spec_by_name(spec, changes)
    if seed is not None:
        spec = spec_from_dict({**spec.to_dict(), "seed": seed})
    whole = spec
    return plan_together(lambda: dry_run(whole, data_root=data_root), whole, device)


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return Path(given) if given is not None else None


def _shortened(assembly: Assembly, budget: RunBudget, run_dir: RunDir) -> tuple[Assembly, RunStart]:
    """The parts of a run whose course fits the budget, written as the spec of the run."""
    whole = assembly.spec
    fitted = budget.shorten(assembly)
    if fitted.warning is not None:
        _log.warning("%s", fitted.warning)
    run_dir.write_spec(fitted.spec, assembly.data_root)
    start = RunStart(
        run_dir.path,
        fitted.spec,
        whole_spec=whole,
        step_seconds=fitted.step_seconds,
        head=assembly.head,
    )
    return assembly.rescheduled(fitted.spec), start
