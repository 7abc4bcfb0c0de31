"""One run of a study: wanted, begun or finished, in a directory that its spec names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rescli.errors import CheckpointError, RunDirError
from rescli.hardware.threads.cores import usable_cores
from rescli.plan import estimate, make_plan
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.runs.stored_record import read_record
from rescli.spec.run import RunSpec

__all__ = ["PlannedRun", "QueuedRun", "Status", "seeded"]

Status = Literal["finished", "begun", "missing"]


@dataclass(frozen=True)
class QueuedRun:
    """A run that a study needs.

    Args:
        spec: what is to be trained.
        path: its run directory, named by the fingerprint of the spec, so that it is found again.
    """

    spec: RunSpec
    path: Path

    @classmethod
    def below(cls, runs: Path, spec: RunSpec) -> QueuedRun:
        """The run of a spec below the folder ``runs``."""
        return cls(spec, runs / f"{spec.name}-{spec.fingerprint()[:10]}")

    @property
    def status(self) -> Status:
        """How far it is, read off the disk.

        Raises:
            RunDirError: another spec's run stands there.
        """
        if not (self.path / "spec.toml").is_file():
            return "missing"
        run_dir = RunDir.open(self.path)
        if run_dir.read_spec().fingerprint() != self.spec.fingerprint():
            raise RunDirError(
                f"{self.path} holds a run of another spec.",
                remedy=Remedy("runs", "DIR", "names another directory"),
            )
        try:
            record = read_record(run_dir)
        except CheckpointError:
            return "begun"
        done = record.get("iterations_done") == self.spec.iterations and run_dir.last.is_file()
        return "finished" if done and record.get("status") == "finished" else "begun"

    @property
    def macs(self) -> int:
        """Multiply-adds of one image's forward pass; 0 for a model that does not tell its layout."""
        dataset = self.spec.data.dataset
        layout = self.spec.model.layout(num_classes=dataset.num_classes, image_size=dataset.image_size)
        return layout.macs if layout else 0

    def planned(self) -> PlannedRun:
        """The run with its state and a forecast of its cost."""
        forecast = estimate(self.spec, make_plan(self.spec), cores=usable_cores())
        return PlannedRun(self, self.status, forecast.cpu_train_seconds if forecast else None)


@dataclass(frozen=True)
class PlannedRun:
    """A run of a plan.

    Args:
        run: which.
        status: how far it was when the plan was made.
        cpu_train_seconds: a rough forecast for this machine's CPU, of the whole run; None where the model
            does not tell its layout.
    """

    run: QueuedRun
    status: Status
    cpu_train_seconds: float | None


def seeded(spec: RunSpec, count: int) -> list[RunSpec]:
    """The spec with its own seed, and with the ``count - 1`` seeds that follow."""
    return [spec.model_copy(update={"seed": spec.seed + later}) for later in range(count)]
