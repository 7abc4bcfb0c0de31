"""Runs that belong together: each trained once, found again by its spec, resumed where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rescli.errors import CheckpointError, DivergedError, RescliError, RunDirError, UsageError
from rescli.plan import make_plan
from rescli.runs.assembly import Assembly, assemble
from rescli.runs.budget import SAFETY, measure_costs
from rescli.runs.directory import RunDir
from rescli.runs.drive import execute, prepare_resume
from rescli.runs.record import read_record
from rescli.runs.where import Where
from rescli.spec.run import RunSpec
from rescli.training.events import Sink

__all__ = ["CampaignRun", "scale_together", "train_missing"]

Progress = Callable[[RunSpec, int], AbstractContextManager[Sink]]
"""(spec, iteration to begin at) -> a block within which its sink is called."""


@dataclass(frozen=True)
class CampaignRun:
    """One run of a campaign, wanted or there. Its directory is named by the fingerprint of its spec."""

    spec: RunSpec
    path: Path

    @classmethod
    def below(cls, runs: Path, spec: RunSpec) -> CampaignRun:
        return cls(spec, runs / f"{spec.name}-{spec.fingerprint()[:10]}")

    @property
    def status(self) -> Literal["finished", "begun", "missing"]:
        """Read off the disk.

        Raises:
            RunDirError: another spec's run stands there.
        """
        if not (self.path / "spec.toml").is_file():
            return "missing"
        run_dir = RunDir.open(self.path)
        if run_dir.read_spec().fingerprint() != self.spec.fingerprint():
            raise RunDirError(
                f"{self.path} holds a run of another spec.", hint="name another directory: --runs DIR"
            )
        try:
            record = read_record(run_dir)
        except CheckpointError:
            return "begun"
        done = record.get("iterations_done") == self.spec.iterations and run_dir.last.is_file()
        return "finished" if done and record.get("status") == "finished" else "begun"


def train_missing(
    runs: Sequence[CampaignRun],
    *,
    data_root: Path | None,
    device: str,
    progress: Progress,
    should_stop: Callable[[], bool],
    preparing: Callable[[], AbstractContextManager[None]] = nullcontext,
    on_failure: Callable[[CampaignRun, RescliError], None] | None = None,
) -> None:
    """Train or resume what is not finished, one after the other; what is finished is not touched.

    preparing: a block around the preparation of each run, which may be left by an exception at any point:
        nothing of the run is to be saved yet.
    on_failure: told of a run that diverged or that the device has no memory for, and the next one begins;
        unset, the error is raised.

    Raises:
        Interrupted: ``should_stop`` said so; the state of the run is saved.
        As ``execute`` and ``prepare_resume``.
    """
    for run in runs:
        status = run.status
        if status == "finished":
            continue
        try:
            _train(run, status, data_root, device, progress, should_stop, preparing)
        except (DivergedError, UsageError) as error:
            if on_failure is None:
                raise
            on_failure(run, error)


def _train(
    run: CampaignRun,
    status: str,
    data_root: Path | None,
    device: str,
    progress: Progress,
    should_stop: Callable[[], bool],
    preparing: Callable[[], AbstractContextManager[None]],
) -> None:
    with _begun(run) if status == "begun" else RunDir.create(run.path) as run_dir:
        try:
            with preparing():
                if status == "begun":
                    assembly, saved = prepare_resume(run_dir, Where(device, data_root))
                else:
                    run_dir.write_spec(run.spec, data_root)
                    assembly, saved = _assembled(run.spec, data_root, device), None
        except BaseException:
            if status == "missing":
                run_dir.discard()
            raise
        with progress(run.spec, saved.step if saved else 0) as sink:
            execute(assembly, run_dir, saved=saved, sinks=[sink], should_stop=should_stop)


@contextmanager
def _begun(run: CampaignRun) -> Iterator[RunDir]:
    run_dir = RunDir.open(run.path)
    with run_dir.locked():
        yield run_dir


def scale_together(
    specs: Sequence[RunSpec], budget_seconds: float, *, data_root: Path | None, device: str
) -> float:
    """The ratio by which all schedules must be shortened so that all runs together take ``budget_seconds``;
    1 where they fit. An iteration of each different net is timed.

    Raises:
        DataError, UsageError: as ``assemble``.
    """
    costs: dict[str, tuple[float, float]] = {}
    total = 0.0
    for spec in specs:
        key = spec.model_copy(update={"seed": 0}).fingerprint()
        if key not in costs:
            costs[key] = measure_costs(_assembled(spec, data_root, device))
        step_seconds, eval_seconds = costs[key]
        total += spec.iterations * step_seconds + make_plan(spec).num_evaluations * eval_seconds
    return min(1.0, SAFETY * budget_seconds / total)


def _assembled(spec: RunSpec, data_root: Path | None, device: str) -> Assembly:
    return assemble(spec, Where(device, data_root))
