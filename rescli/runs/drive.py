"""The life of a run from its parts to its record."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace

from rescli import registry
from rescli.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    Interrupted,
    LostRankError,
    LostWorkersError,
    NoMemoryError,
    first_line,
)
from rescli.hardware.launcher import on_one_machine
from rescli.hardware.memory import is_out_of_memory
from rescli.hardware.ranks import Ranks, is_lost_rank
from rescli.hardware.threads.waiting import watching
from rescli.models.failure import failed_module
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.runs.assembly import Assembly
from rescli.runs.directory import RunDir
from rescli.runs.in_place import moved_error
from rescli.runs.logger import LoggedRun, Logger, MakeLogger
from rescli.runs.metrics_log import MetricsLog
from rescli.runs.resuming.images import how_to_go_on
from rescli.runs.saved_state import SavedState
from rescli.runs.saver import RunSaver
from rescli.runs.stored_record import RunRecord
from rescli.training.events import EngineChosen, EvalRunning, Event, FitDone, Sink, Stopped
from rescli.training.fit import fit

__all__ = ["execute"]

_TELL_SECONDS = 1.0


def execute(
    assembly: Assembly,
    run_dir: RunDir | None,
    *,
    sinks: Sequence[Sink] = (),
    loggers: Sequence[MakeLogger] = (),
    should_stop: Callable[[], bool] = lambda: False,
    saved: SavedState | None = None,
    before_finished: Callable[[], None] = lambda: None,
) -> RunRecord:
    """Train to the end of the plan; the caller holds the lock of ``run_dir``.

    Args:
        assembly: the parts of the run.
        run_dir: where it is written; None for a rank that writes nothing, whose record is empty.
        sinks: called with every event, once the log has it and what it says is due was copied to be written:
            a thread writes it, and may not be done yet.
        loggers: opened for this run, beside the one that writes metrics.jsonl, and closed at its end.
        should_stop: asked before every iteration and every batch of an evaluation.
        saved: where to go on from; None begins at iteration 0.
        before_finished: called when the plan is done and logged, before the record says so: until then a
            resume does what is missing.

    Returns:
        The record, as record.json holds it.

    Raises:
        Interrupted: ``should_stop`` said so; the state is saved.
        DivergedError: the loss is no longer finite; the last good checkpoint is named.
        CheckpointError: the disk is full or not writable, or the weights to begin with do not fit.
        NoMemoryError: the device has not enough memory.
        UsageError: a plugin's network raised something.
        DataError: an image is damaged; the state is saved.
        LostWorkersError: the processes that decode images ended again and again; the state is saved.
    """
    plan = assembly.plan
    with _explaining(assembly):
        state = assembly.new_state()
        if saved is not None:
            saved.restore(state)
        chosen = assembly.choose_engine(state)
    engine = chosen.engine
    assembly.loader.should_stop = should_stop
    events = fit(
        state,
        engine,
        plan,
        evaluate=lambda model: assembly.evaluate_val(
            model,
            forward=engine.forward,
            should_stop=should_stop,
            progress=_telling(state.step, sinks) if sinks else None,
        ),
        should_stop=_agreed(should_stop, assembly.ranks),
        waited_seconds=assembly.waited_seconds,
    )
    if run_dir is None:
        with watching(assembly.numerics.device):
            for event in _explained(events, assembly):
                if isinstance(event, Stopped):
                    stopped = f"stopped after iteration {event.step} of {plan.total_steps}."
                    raise Interrupted(stopped, clean=True)
        return {"results": {}}
    kernels = assembly.kernels
    begun = EngineChosen(state.step, engine.name, kernels.name, chosen.why_slower, kernels.why_plain)
    with ExitStack() as opened:
        log, others = _open_loggers(run_dir, assembly, saved, loggers, opened)
        watch = opened.enter_context(watching(assembly.numerics.device))
        saver = opened.enter_context(RunSaver(run_dir, assembly, state, chosen=chosen, log=log, watch=watch))
        all_sinks: list[Sink] = [log, _at_the_end(before_finished), saver, *others, *sinks]
        try:
            for event in itertools.chain([begun], _explained(events, assembly)):
                for sink in all_sinks:
                    sink(event)
                if isinstance(event, Stopped):
                    raise Interrupted(
                        f"stopped after iteration {event.step} of {plan.total_steps}; the state is saved.",
                        remedy=Remedy("resume", str(run_dir.path), also=_processes(assembly.ranks)),
                        clean=True,
                    )
        except Interrupted:
            raise
        except DivergedError as error:
            with suppress(CheckpointError):  # that it diverged is what matters
                saver.close("diverged")
            hint = "; ".join(filter(None, [_last_good(run_dir), error.hint]))
            raise DivergedError(str(error), hint=hint, remedy=error.remedies) from error
        except DataError as error:
            with suppress(CheckpointError):
                saver.close("failed")
            raise how_to_go_on(
                error,
                run_dir,
                spec=assembly.spec,
                data=saver.record["data"],
                saved_step=saver.record.get("last_saved_iteration"),
                data_root=assembly.data_root,
            ) from error
        except CheckpointError as error:
            _require_there(run_dir, state.step, error)
            with suppress(CheckpointError):
                saver.close("failed")
            if error.remedies:
                raise
            again = Remedy("resume", run_dir.path, "once there is room", also=_processes(assembly.ranks))
            raise CheckpointError(str(error), hint=error.hint, remedy=again) from error
        except LostWorkersError as error:
            saver.close("failed")
            raise LostWorkersError(
                f"{error} The state of iteration {state.step} is saved.",
                remedy=Remedy(
                    "resume",
                    run_dir.path,
                    "decodes in the process that trains",
                    also={"workers": 0, **_processes(assembly.ranks)},
                ),
            ) from error
        except Exception as error:  # a caller's sink may raise anything
            _require_there(run_dir, state.step, error)
            with suppress(CheckpointError):  # the disk may be too full for the record as well
                saver.close("failed")
            raise
    return saver.record


def _at_the_end(call: Callable[[], None]) -> Sink:
    return lambda event: call() if isinstance(event, FitDone) else None


def _require_there(run_dir: RunDir, step: int, met: Exception) -> None:
    """Say what was met otherwise where the run directory is gone, and write nothing there again."""
    if not run_dir.spec.exists():  # written before anything else, and never again
        if (moved := moved_error(run_dir)) is not None:
            raise moved from met
        raise CheckpointError(
            f"{run_dir.path} was deleted or moved while the run was trained; iteration {step} is not saved.",
            page="run-directory-moved",
        ) from met


def _telling(step: int, sinks: Sequence[Sink]) -> Callable[[int, int], None]:
    """What tells the sinks how far an evaluation is, at most once a second."""
    began = told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _TELL_SECONDS:
            told = now
            for sink in sinks:
                sink(EvalRunning(step, done, total, now - began))

    return tell


def _open_loggers(
    run_dir: RunDir,
    assembly: Assembly,
    saved: SavedState | None,
    others: Sequence[MakeLogger],
    opened: ExitStack,
) -> tuple[MetricsLog, list[Logger]]:
    run = LoggedRun(run_dir.path, assembly.spec)
    if saved is not None:
        run = replace(
            run,
            start_step=saved.step,
            metrics_bytes=saved.metrics_bytes,
            metrics_sha256=saved.metrics_sha256,
        )
    log: MetricsLog = opened.enter_context(closing(registry.load("loggers", "jsonl")(run)))
    return log, [opened.enter_context(closing(make(run))) for make in others]


def _explained(events: Iterator[Event], assembly: Assembly) -> Iterator[Event]:
    """The events of a training; what it raises is put in words, and what a sink raises is left alone."""
    with _explaining(assembly):
        yield from events


@contextmanager
def _explaining(assembly: Assembly) -> Iterator[None]:
    """Say in words what is raised where memory ends, a plugin's network fails or another process is lost."""
    batch_size, ranks = assembly.spec.data.batch_size, assembly.ranks
    try:
        yield
    except Exception as error:
        reason = first_line(error)
        if is_out_of_memory(error):
            raise NoMemoryError(
                f"{assembly.numerics.device} has no memory for batches of {batch_size}: {reason}",
                remedy=Remedy("data.batch_size", max(1, batch_size // 2)),
            ) from error
        if failure := failed_module(error, assembly.spec.model.name):
            raise failure from error
        if ranks.size > 1 and is_lost_rank(error):
            raise LostRankError(
                f"another of the {counted(ranks.size, 'process')} is gone, or did not answer in time."
            ) from error
        raise


def _processes(ranks: Ranks) -> dict[str, object]:
    """What a resume has to say of the number of processes; with another one, its bits differ."""
    return {"nproc": ranks.size} if ranks.size > 1 and on_one_machine() else {}


def _agreed(should_stop: Callable[[], bool], ranks: Ranks) -> Callable[[], bool]:
    """All ranks stop before the same iteration, whichever was told to."""
    return should_stop if ranks.size == 1 else lambda: ranks.any(should_stop())


def _last_good(run_dir: RunDir) -> str:
    for path in (run_dir.last, run_dir.best):
        if path.is_file():
            return f"the last good checkpoint is {path}"
    return "no checkpoint was written yet"
