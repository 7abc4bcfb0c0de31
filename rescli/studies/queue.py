"""Runs that belong together, trained one after the other: each once, resumed where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from rescli.errors import DivergedError, Interrupted, NoMemoryError, RescliError, RunDirError
from rescli.files import remove
from rescli.remedy import Remedy
from rescli.runs.assembly import Assembly, assemble
from rescli.runs.budget.trial import RunCost, SpeedWatch, measure_cost
from rescli.runs.directory import RunDir
from rescli.runs.drive import execute
from rescli.runs.resuming.prepare import prepare_resume
from rescli.runs.where import Where
from rescli.spec.run import RunSpec
from rescli.studies.events import RunBegun, RunEnded, RunEvent, StudySink
from rescli.studies.queued_run import QueuedRun

__all__ = ["RunQueue"]


@dataclass(frozen=True)
class RunQueue:
    """How the runs of a study are trained.

    Args:
        data_root: where the images lie; None for the usual places.
        device: its name, or ``auto``.
        on_event: told when a run begins, of each event of its training, and when it ends.
        should_stop: asked before every iteration; when it says yes, the run's state is saved and
            ``Interrupted`` ends the queue.
        preparing: a block around the preparation of each run, which may be left by an exception at any
            point: nothing of the run is to be saved yet.
        threads: of the CPU; None for as many as there are cores, or as a run began with.
    """

    data_root: Path | None
    device: str
    on_event: StudySink = lambda _event: None
    should_stop: Callable[[], bool] = lambda: False
    preparing: Callable[[], AbstractContextManager[None]] = nullcontext
    threads: int | None = None

    def train(
        self,
        runs: Sequence[QueuedRun],
        *,
        on_failure: Callable[[QueuedRun, RescliError], None] | None = None,
        off_plan: Callable[[QueuedRun, float], bool] | None = None,
    ) -> bool:
        """Train or resume what is not finished, one after the other; what is finished is not touched.

        Args:
            runs: in the order of training.
            on_failure: told of a run that diverged or that the device has no memory for, and the next one
                begins; unset, the error is raised.
            off_plan: asked once, when about a twentieth of the first run is done, with the run and the
                seconds that an iteration took. When it says yes, that run is taken back and the queue ends.

        Returns:
            Whether the queue came to its end; False where ``off_plan`` ended it.

        Raises:
            Interrupted: ``should_stop`` said so; the state of the run is saved.
            CheckpointError, DataError, DivergedError, UsageError: as ``execute`` and ``prepare_resume``.
        """
        for run in runs:
            if run.status == "finished":
                continue
            watch = _Watch(run, off_plan) if off_plan is not None and run.status == "missing" else None
            off_plan = None
            try:
                self._train(run, watch)
            except Interrupted:
                if watch is None or not watch.off or self.should_stop():
                    raise
                remove(run.path)  # begun a moment ago, by this very call
                return False
            except (DivergedError, NoMemoryError) as error:
                if on_failure is None:
                    raise
                on_failure(run, error)
        return True

    def _train(self, run: QueuedRun, watch: _Watch | None) -> None:
        begun = run.status == "begun"
        with _begun(run) if begun else RunDir.create(run.path) as run_dir:
            try:
                with self.preparing():
                    if begun:
                        assembly, saved = prepare_resume(run_dir, self._where)
                    else:
                        run_dir.write_spec(run.spec, self.data_root)
                        assembly, saved = self._assemble(run.spec), None
            except BaseException:
                if not begun:
                    run_dir.discard()
                raise
            self.on_event(RunBegun(run, saved.step if saved else 0))
            sinks = [lambda event: self.on_event(RunEvent(run, event))]
            try:
                execute(
                    assembly,
                    run_dir,
                    saved=saved,
                    sinks=[*sinks, *([watch.speed] if watch else [])],
                    should_stop=watch.or_(self.should_stop) if watch else self.should_stop,
                )
            except BaseException as error:
                self.on_event(RunEnded(run, error))
                raise
            self.on_event(RunEnded(run))

    def measure(
        self, spec: RunSpec, *, budget_seconds: float, tested_images: Callable[[RunSpec], int] = lambda _: 0
    ) -> RunCost:
        """What a run costs, by a short trial; nothing is written.

        Raises:
            DataError, UsageError: as ``assemble``.
        """
        began = time.perf_counter()
        with self.preparing():
            return measure_cost(
                self._assemble(spec),
                began=began,
                budget_seconds=budget_seconds,
                tested_images=tested_images(spec),
            )

    def _assemble(self, spec: RunSpec) -> Assembly:
        return assemble(spec, self._where)

    @property
    def _where(self) -> Where:
        return Where(self.device, self.data_root, threads=self.threads)


class _Watch:
    """Stops a run whose speed is not what was planned for."""

    def __init__(self, run: QueuedRun, off_plan: Callable[[QueuedRun, float], bool]) -> None:
        self.speed = SpeedWatch(run.spec.iterations)
        self.off = False
        self._run = run
        self._off_plan: Callable[[QueuedRun, float], bool] | None = off_plan

    def or_(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """Whether the caller says stop, or the speed does."""

        def either() -> bool:
            if self._off_plan is not None and self.speed.step_seconds is not None:
                self.off = self._off_plan(self._run, self.speed.step_seconds)
                self._off_plan = None
            return self.off or should_stop()

        return either


@contextmanager
def _begun(run: QueuedRun) -> Iterator[RunDir]:
    run_dir = RunDir.open(run.path)
    with ExitStack() as held:
        try:
            held.enter_context(run_dir.locked())
        except RunDirError as error:  # out is where the study is written: another would not help
            another = Remedy("runs", "DIR", "a folder of its own for what is trained here")
            raise RunDirError(str(error), hint=error.hint, remedy=another) from error
        yield run_dir
