"""How far the runs of a table or figure are, read off the disk while they may be trained. No torch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rescli.errors import CheckpointError, RescliError
from rescli.runs.directory import RunDir
from rescli.runs.metrics_log import MetricsRow, last_window
from rescli.runs.resuming.state_pointer import saved_step
from rescli.runs.sessions import sessions_of
from rescli.runs.stored_record import ImportedRecord, RunRecord, read_record
from rescli.spec.run import RunSpec
from rescli.studies.paper_items import PaperItem, PaperNet
from rescli.studies.queued_run import QueuedRun

__all__ = ["RunProgress", "RunState", "progress_of_runs"]

RunState = Literal["finished", "running", "stopped", "missing", "damaged"]
"""Trained to its end; held by a process now; begun, and held by nobody; not begun; not to be read."""

_SECOND_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class RunProgress:
    """How far one run is; what is not known is None.

    Attributes:
        net: as the table or figure calls it.
        seed: of the run.
        run: its directory.
        state: see ``RunState``.
        iteration: how many are done; of a stopped run, the one that it goes on from.
        iterations: of the whole run.
        images_per_second: where it runs, of the last window since it was begun or resumed; else of the whole
            training.
        rest_seconds: what is left at that rate, where it runs; without evaluations.
        resumes: how many times it went on after an interruption.
        updated: when the record was last written, as ISO 8601.
        device: as the record has it.
        precision: of the convolutions.
        test_error: percent, where the run was tested by the protocol of the table or figure already.
        published: percent, in the paper.
        problem: what is wrong with it, in words.
        imported: where it was copied from and when, where another machine trained it.
    """

    net: str
    seed: int
    run: Path
    state: RunState
    iteration: int
    iterations: int
    images_per_second: float | None = None
    rest_seconds: float | None = None
    resumes: int | None = None
    updated: str | None = None
    device: str | None = None
    precision: str | None = None
    test_error: float | None = None
    published: float | None = None
    problem: str | None = None
    imported: ImportedRecord | None = None

    @property
    def percent(self) -> float:
        """How much of the iterations is done."""
        return 100 * self.iteration / self.iterations

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "run": str(self.run), "percent": round(self.percent, 2)}


def progress_of_runs(
    item: PaperItem, runs: Path, specs: Mapping[PaperNet, Sequence[RunSpec]]
) -> list[RunProgress]:
    """Every run that the item needs, net by net; nothing is trained, tested, held or written.

    Args:
        item: the table or figure.
        runs: where run directories lie.
        specs: of each net, one a seed.
    """
    return [
        _progress(item, net, QueuedRun.below(runs, spec)) for net, group in specs.items() for spec in group
    ]


def _progress(item: PaperItem, net: PaperNet, run: QueuedRun) -> RunProgress:
    try:
        return _read(item, net, run)
    except (RescliError, OSError):  # a file that was just being replaced, on a disk far away
        time.sleep(_SECOND_LOOK_SECONDS)
    try:
        return _read(item, net, run)
    except (RescliError, OSError) as error:
        return RunProgress(
            *(net.label, run.spec.seed, run.path, "damaged", 0, run.spec.iterations),
            published=_published(net),
            problem=str(error),
        )


def _read(item: PaperItem, net: PaperNet, run: QueuedRun) -> RunProgress:
    run_dir, spec, problem = RunDir(run.path), run.spec, None
    begun, held = run.status, run_dir.in_use()
    record: RunRecord = {"results": {}}
    if run_dir.record.is_file():
        try:
            record = read_record(run_dir)
        except CheckpointError as error:
            problem = str(error)
    state: RunState = "finished" if begun == "finished" else "running" if held else "stopped"
    if begun == "missing" and not held:
        state = "missing"
    if state == "stopped" and (why := record.get("status")) in ("diverged", "failed"):
        problem = f"it {why} at iteration {record.get('iterations_done')}"
    iteration, rate = _reached(run_dir, record, state), record.get("images_per_second")
    rest = None
    if state == "running":
        rate = None
        if (window := _window_of_session(run_dir, record)) is not None:
            iteration, rate = max(iteration, window["iteration"]), window.get("images_per_second")
    if state == "running" and rate:
        rest = max(0, spec.iterations - iteration) * spec.data.batch_size / rate
    return RunProgress(
        *(net.label, spec.seed, run.path, state, iteration, spec.iterations),
        images_per_second=rate,
        rest_seconds=rest,
        resumes=_resumes(record),
        updated=record.get("updated"),
        device=record.get("device"),
        precision=record.get("precision"),
        test_error=_test_error(item, record) if state == "finished" else None,
        published=_published(net),
        problem=problem,
        imported=record.get("imported"),
    )


def _reached(run_dir: RunDir, record: RunRecord, state: RunState) -> int:
    if state == "stopped":
        return saved_step(run_dir) or 0
    return record.get("iterations_done", 0)


def _window_of_session(run_dir: RunDir, record: RunRecord) -> MetricsRow | None:
    """The newest window of the session that trains now; None until it has one.

    The last row of the log may be of the session before, which had another device perhaps.
    """
    if record.get("status") != "running":  # the session that holds it has not written a record yet
        return None
    window = last_window(run_dir.metrics)
    sessions = sessions_of(record)
    began = sessions[-1].get("from_iteration", 0) if sessions else 0
    return window if window is not None and window["iteration"] > began else None


def _resumes(record: RunRecord) -> int | None:
    if sessions := record.get("sessions"):
        return len(sessions) - 1
    return len(record["resumed_at"]) if "resumed_at" in record else None


def _test_error(item: PaperItem, record: RunRecord) -> float | None:
    """What the run's last weights came to by the item's protocol, where the record has it."""
    test = record["results"].get("test")
    if not test or test.get("selection") != "last" or test.get("iteration") != record.get("iterations_done"):
        return None
    if item.table is not None and test.get("protocol") != item.table.protocol:
        return None
    return test.get("top1_error")


def _published(net: PaperNet) -> float | None:
    published = net.published
    return (published.mean or published.top1_error) if published else None
