"""A run watches how the cores are shared while it computes, and notes for how long others took some."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rescli.hardware.numerics import Numerics
from rescli.hardware.threads import waiting
from rescli.hardware.threads.openmp import find_libgomp
from rescli.runs.assembly import assemble
from rescli.runs.directory import RunDir
from rescli.runs.drive import execute
from rescli.runs.resuming.prepare import prepare_resume
from rescli.runs.stored_record import RunRecord, read_record
from rescli.runs.where import Where
from rescli.spec.load import load_spec
from rescli.training.events import Event, StepDone, Stopped

SMALL = [
    ("model", {"kind": "resnet", "depth": 8}),
    ("data.dataset", {"kind": "shapes", "num_train": 100, "num_val": 20, "num_test": 20}),
    ("data.batch_size", 8),
    ("iterations", 2),
]

CPU_FP32 = Numerics(torch.device("cpu"), "fp32")

pytestmark = pytest.mark.skipif(find_libgomp() is None, reason="torch computes with another runtime here")


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith(("OMP_", "GOMP_"))]:
        monkeypatch.delenv(name)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def watched() -> bool:
    return any(thread.name == "rescli-waiting" for thread in threading.enumerate())


def train(path: Path) -> tuple[RunDir, RunRecord, list[bool]]:
    """The run, its record, and whether it was watched at each step."""
    seen: list[bool] = []

    def see(event: Event) -> None:
        if isinstance(event, StepDone | Stopped):
            seen.append(watched())

    spec = load_spec("shapes/base", SMALL)
    with RunDir.create(path) as run_dir:
        run_dir.write_spec(spec)
        assembly = assemble(spec, Where("cpu"), numerics=CPU_FP32)
        return run_dir, execute(assembly, run_dir, sinks=[see]), seen


def test_it_is_watched_from_its_first_step_to_its_end(tmp_path: Path) -> None:
    run_dir, record, seen = train(tmp_path / "run")
    assert seen == [True, True]
    assert not watched()
    assert record["shared_cpu_seconds"] >= 0
    assert "shared_cpu_seconds" in read_record(run_dir)


def test_where_the_user_decides_nothing_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    _, record, seen = train(tmp_path / "run")
    assert seen == [False, False]
    assert "shared_cpu_seconds" not in record


def test_a_resumed_run_goes_on_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What watches has seen 12 seconds each time.
    monkeypatch.setattr(waiting.Watch, "short_seconds", property(lambda _self: 12.0))
    run_dir, record, _ = train(tmp_path / "run")
    assert record["shared_cpu_seconds"] == 12.0
    assembly, saved = prepare_resume(run_dir, Where("cpu"))
    assert execute(assembly, run_dir, saved=saved)["shared_cpu_seconds"] == 24.0


def test_a_rank_that_writes_nothing_is_watched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[waiting.Watch] = []
    real = waiting.Watch.__enter__

    def enter(self: waiting.Watch) -> waiting.Watch:
        begun.append(self)
        return real(self)

    monkeypatch.setattr(waiting.Watch, "__enter__", enter)
    spec = load_spec("shapes/base", SMALL)
    execute(assemble(spec, Where("cpu"), numerics=CPU_FP32), None)
    assert len(begun) == 1
    assert not watched()
