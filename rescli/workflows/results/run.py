"""A run as Python holds it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from rescli.checkpoints.warm_start import Head
from rescli.errors import CheckpointError, RescliError
from rescli.files import write_atomically
from rescli.plurals import counted
from rescli.runs.directory import RunDir
from rescli.runs.metrics_log import MetricsRow, read_metrics
from rescli.runs.stored_record import RunRecord, read_record
from rescli.spec.run import RunSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rescli.workflows.results.net import Net

__all__ = ["Longer", "Run", "RunStart", "write_curves"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A training run on the disk, finished or not.

    Every property is read when it is asked for, so it is what the run directory says now.

    Attributes:
        path: the run directory.
    """

    path: Path

    @property
    def record(self) -> RunRecord:
        """What record.json holds: versions, device, seconds, results; errors in percent."""
        return read_record(RunDir(self.path))

    @property
    def spec(self) -> RunSpec:
        """The whole spec of the run."""
        return RunDir(self.path).read_spec()

    @property
    def splits(self) -> tuple[str, ...]:
        """The parts of its data set that can be evaluated; none where its images are gone."""
        try:
            return tuple(self.spec.data.dataset.splits(RunDir(self.path).read_data_root()))
        except RescliError:
            return ()

    @property
    def is_finished(self) -> bool:
        """Whether it was trained to its end, and its last checkpoint is there."""
        try:
            record = self.record
        except CheckpointError:  # none yet, or a damaged one, which a resume writes anew
            return False
        finished = record.get("status") == "finished"
        trained = finished and record.get("spec_sha256") == self.spec.fingerprint()
        return trained and RunDir(self.path).last.is_file()

    @property
    def metrics(self) -> list[MetricsRow]:
        """One row a window of training and one an evaluation; errors in percent."""
        return read_metrics(RunDir(self.path).metrics)

    def figure(self) -> Figure:
        """The training and validation errors as in Figure 6 of the paper, by iterations."""
        from rescli.report.figures import run_figure
        from rescli.studies.curves import RunCurves

        return run_figure(RunCurves.of_rows(self.metrics), title=self.spec.name)

    def curves(self) -> Figure:
        """``figure``, by the name of what it shows."""
        return self.figure()

    def net(self) -> Net:
        """The network with its last weights, ready to predict."""
        from rescli.workflows.load import load

        return load(self.path)

    def __fspath__(self) -> str:
        """The run directory: a run may be given wherever a path is."""
        return str(self.path)

    def _repr_html_(self) -> str:
        record = self.record
        cells = "".join(
            f"<tr><td>{escape(split)}</td><td>{result['top1_error']:.2f} %</td></tr>"
            for split, result in record["results"].items()
            if result and "top1_error" in result
        )
        done = counted(record.get("iterations_done", 0), "iteration")
        title = f"{record.get('name', self.path.name)}: {record.get('status', 'begun')} after {done}"
        return (
            f"<table><caption>{escape(title)}</caption>"
            f"<tr><th>split</th><th>top-1 error</th></tr>{cells}</table>"
        )


@dataclass(frozen=True)
class Longer:
    """A run that goes on from another, which stays as it is.

    Attributes:
        first: the directory of the other run.
        lr: the learning rate that it goes on with.
    """

    first: Path
    lr: float


@dataclass(frozen=True)
class RunStart:
    """What is known when everything is prepared and the first iteration is next.

    Attributes:
        path: the run directory.
        spec: what is trained, shortened where there is a budget.
        step: the iteration that training begins or continues at.
        resumed: whether the run was there before.
        evaluation_due: whether an evaluation that was interrupted comes first.
        whole_spec: the spec before a budget shortened it; None without a budget.
        step_seconds: what an iteration takes; None without a budget.
        longer: where it goes on from for longer than that was planned for; None where it does not.
        head: what became of the last layer of the checkpoint that the run begins with; None without one.
    """

    path: Path
    spec: RunSpec
    step: int = 0
    resumed: bool = False
    evaluation_due: bool = False
    whole_spec: RunSpec | None = None
    step_seconds: float | None = None
    head: Head | None = None
    longer: Longer | None = None


def write_curves(run_dir: RunDir, spec: RunSpec) -> None:
    """Draw curves.png; a picture that cannot be drawn is a warning: how the run ended matters more."""
    if not run_dir.metrics.exists():  # it did not come to training
        return
    from rescli.report.figures import curves_png

    try:
        rows = read_metrics(run_dir.metrics)
        if rows:
            write_atomically(run_dir.curves, curves_png(rows, title=spec.name))
    except (RescliError, OSError, ValueError) as error:
        _log.warning("no %s: %s", run_dir.curves.name, error)
