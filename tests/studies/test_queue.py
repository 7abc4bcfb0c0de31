"""How the runs of a study are trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rescli.errors import Interrupted, RunDirError
from rescli.remedy import Remedy
from rescli.runs.directory import RunDir
from rescli.runs.stored_record import read_record
from rescli.spec.load import load_spec
from rescli.studies.queue import RunQueue
from rescli.studies.queued_run import QueuedRun

SMALL = [
    ("model", {"kind": "resnet", "depth": 8, "width": 4}),
    ("data.dataset", {"kind": "shapes", "num_train": 40, "num_val": 20, "num_test": 20}),
    ("data.batch_size", 8),
    ("iterations", 2),
]


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_runs_are_trained_by_as_many_threads_as_asked_for(tmp_path: Path, threads: int) -> None:
    run = QueuedRun.below(tmp_path, load_spec("shapes/base", SMALL))
    RunQueue(None, "cpu", threads=threads + 1).train([run])
    assert read_record(RunDir.open(run.path))["threads"] == threads + 1


def test_a_run_that_another_process_trains_is_left_to_it(tmp_path: Path) -> None:
    run = QueuedRun.below(tmp_path, load_spec("shapes/base", SMALL))
    with pytest.raises(Interrupted):
        RunQueue(None, "cpu", should_stop=lambda: True).train([run])
    assert run.status == "begun"
    with RunDir.open(run.path).locked(), pytest.raises(RunDirError, match="is in use") as refused:
        RunQueue(None, "cpu").train([run])
    assert refused.value.remedies == (Remedy("runs", "DIR", "a folder of its own for what is trained here"),)
