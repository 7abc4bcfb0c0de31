"""Every start, interruption and resume of a run is in its record."""

import json
import os

import pytest
from shape_run import CPU, CPU_FP32, begin

from rescli.errors import Interrupted
from rescli.runs.directory import RunDir
from rescli.runs.drive import execute
from rescli.runs.resuming.prepare import prepare_resume
from rescli.runs.sessions import sessions_before
from rescli.runs.stored_record import read_record
from rescli.training.events import StepDone


def told(run_dir):
    return [
        (session["from_iteration"], session["iterations_done"], session["status"])
        for session in read_record(run_dir)["sessions"]
    ]


def stop_after(step):
    """A sink and its ``should_stop``: the run is asked to stop after that iteration."""
    seen = []

    def sink(event):
        if isinstance(event, StepDone) and event.step == step:
            seen.append(step)

    return {"sinks": [sink], "should_stop": lambda: bool(seen)}


def go_on(run_dir, **options):
    with run_dir.locked():
        assembly, saved = prepare_resume(run_dir, CPU)
        return execute(assembly, run_dir, saved=saved, **options)


def test_a_run_of_one_session(tmp_path):
    run_dir, record = begin(tmp_path / "run", CPU_FP32)
    assert told(run_dir) == [(0, 6, "finished")]
    (session,) = read_record(run_dir)["sessions"]
    assert session["device"] == record["device"]
    assert session["torch_version"] == record["versions"]["torch"]
    assert session["rescli_version"] == record["rescli_version"]
    assert session["began"] == record["started"]
    assert os.uname().nodename not in json.dumps(session)


def test_each_interruption_and_resume_is_listed_and_the_checkpoint_does_not_know(tmp_path):
    whole, _ = begin(tmp_path / "whole", CPU_FP32)
    parts = RunDir(tmp_path / "parts")
    with pytest.raises(Interrupted):
        begin(parts.path, CPU_FP32, **stop_after(2))
    with pytest.raises(Interrupted):
        go_on(parts, **stop_after(4))
    go_on(parts)
    assert told(parts) == [(0, 2, "interrupted"), (2, 4, "interrupted"), (4, 6, "finished")]
    assert read_record(parts)["resumed_at"] == [2, 4]
    for name in ("last", "best"):
        one, other = (run_dir.checkpoints / f"{name}.safetensors" for run_dir in (whole, parts))
        assert one.read_bytes() == other.read_bytes()


def test_a_session_that_was_killed_is_called_so(tmp_path):
    run_dir = RunDir(tmp_path / "run")
    with pytest.raises(Interrupted):
        begin(run_dir.path, CPU_FP32, **stop_after(4))
    record = read_record(run_dir)
    record["status"] = record["sessions"][-1]["status"] = "running"  # as the last save before a kill left it
    run_dir.record.write_text(json.dumps(record))
    go_on(run_dir)
    assert told(run_dir) == [(0, 4, "killed"), (4, 6, "finished")]


def test_a_start_that_saved_nothing_is_listed_too():
    before = {"results": {}, "status": "running", "iterations_done": 0}
    before["sessions"] = [{"from_iteration": 0, "iterations_done": 0, "status": "running"}]
    assert [session["status"] for session in sessions_before(before)] == ["killed"]
    assert before["sessions"][0]["status"] == "running"


def test_a_record_of_an_earlier_version_tells_what_it_can():
    before = {
        "results": {},
        "status": "interrupted",
        "started": "2026-01-02T03:04:05+00:00",
        "updated": "2026-01-02T05:04:05+00:00",
        "resumed_at": [983],
        "iterations_done": 2000,
        "device": "cpu",
        "versions": {"torch": "2.14.1"},
    }
    assert sessions_before(before) == [
        {"from_iteration": 0, "iterations_done": 983, "began": "2026-01-02T03:04:05+00:00"},
        {
            "from_iteration": 983,
            "iterations_done": 2000,
            "status": "interrupted",
            "updated": "2026-01-02T05:04:05+00:00",
            "device": "cpu",
            "torch_version": "2.14.1",
        },
    ]


@pytest.mark.parametrize(
    "before",
    [{"results": {}}, {"results": {}, "status": "interrupted", "iterations_done": 4, "continues": {}}],
)
def test_nothing_is_made_up(before):
    assert sessions_before(before) == []
