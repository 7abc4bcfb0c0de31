"""One run from its parts to its curves, in the process that writes or in one that follows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from rescli.runs.assembly import Assembly
from rescli.runs.budget.one_run import RunBudget
from rescli.runs.directory import RunDir
from rescli.runs.drive import execute
from rescli.runs.in_place import require_in_place
from rescli.runs.saved_state import SavedState
from rescli.workflows.results.run import Run, RunStart, write_curves
from rescli.workflows.running.observers import Observers
from rescli.workflows.running.stopping import Stop, StopFromSink

__all__ = ["Stopping", "follow", "train_to_the_end"]

Stopping = Callable[[], AbstractContextManager[Stop]]


def follow(prepared: Callable[[], tuple[Assembly, SavedState | None]], path: Path, stopping: Stopping) -> Run:
    """Train as one of several processes that writes nothing."""
    with stopping() as stop:
        with stop.interrupting():
            assembly, saved = prepared()
        execute(assembly, None, saved=saved, should_stop=stop)
    return Run(path)


def train_to_the_end(
    run_dir: RunDir,
    assembly: Assembly,
    saved: SavedState | None,
    start: RunStart,
    stop: Stop,
    observers: Observers,
    budget: RunBudget | None = None,
) -> Run:
    """Train, watched by whoever asked to, until the plan ends or somebody stops it; then draw the curves."""
    observers.on_start(start)
    asked = StopFromSink(stop)
    drawn = False

    def draw() -> None:
        nonlocal drawn
        drawn = True
        write_curves(run_dir, assembly.spec)

    try:
        with observers.shown(start) as shown:
            watched = [shown, *(asked.watching(sink) for sink in observers.sinks)]
            execute(
                assembly,
                run_dir,
                saved=saved,
                sinks=[*watched, budget.see] if budget else watched,
                loggers=observers.loggers,
                should_stop=(lambda: budget.why_off is not None or asked()) if budget else asked,
                before_finished=draw,
            )
    finally:
        if not drawn:
            draw()
    require_in_place(run_dir)
    return Run(run_dir.path)
