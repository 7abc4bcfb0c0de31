"""How far the runs of a table are, while somebody trains them and when nobody does."""

import json

import pytest
from shape_run import CPU_FP32, SMALL, begin

from rescli.runs.directory import RunDir
from rescli.spec.load import load_spec
from rescli.studies.evidence.progress import progress_of_runs
from rescli.studies.paper_items import paper_item
from rescli.studies.queued_run import QueuedRun

ITEM = paper_item("table6")
NET = next(net for net in ITEM.nets if net.label == "ResNet-20 A")
SPEC = load_spec("shapes/base", SMALL)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder of runs with one that is finished."""
    runs = tmp_path_factory.mktemp("runs")
    begin(QueuedRun.below(runs, SPEC).path, CPU_FP32)
    return runs


@pytest.fixture
def edited(finished, tmp_path):
    """``edited(status="running", ...)``: a copy of it whose record says something else."""

    def edit(**changes):
        path = tmp_path / QueuedRun.below(finished, SPEC).path.name
        (path / "state").mkdir(parents=True)
        first = RunDir(finished / path.name)
        for source in (first.spec, first.metrics, first.state / "latest.json"):
            (path / source.relative_to(first.path)).write_bytes(source.read_bytes())
        RunDir(path).record.write_text(json.dumps({**json.loads(first.record.read_text()), **changes}))
        return RunDir(path)

    return edit


def only_one(runs):
    (row,) = progress_of_runs(ITEM, runs, {NET: [SPEC]})
    return row


def test_nothing_is_there(tmp_path):
    row = only_one(tmp_path / "runs")
    assert (row.state, row.iteration, row.iterations, row.published) == ("missing", 0, 6, 8.75)
    assert (row.resumes, row.rest_seconds, row.test_error) == (None, None, None)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run(finished):
    row = only_one(finished)
    assert (row.state, row.iteration, row.percent, row.resumes) == ("finished", 6, 100, 0)
    assert row.images_per_second > 0
    assert row.rest_seconds is None
    assert row.device.startswith("cpu")


def test_a_run_that_somebody_trains(edited):
    sessions = [{"from_iteration": 0, "status": "killed"}, {"from_iteration": 2, "status": "running"}]
    run_dir = edited(status="running", iterations_done=2, sessions=sessions)
    rows = run_dir.metrics.read_text().splitlines()
    window = {**json.loads(rows[0]), "event": "train", "iteration": 4, "images_per_second": 8.0}
    run_dir.metrics.write_text(f'{json.dumps(window)}\n{{"event": "tra')  # the writer is in a line's middle
    before = {path.name: path.stat().st_mtime_ns for path in run_dir.path.rglob("*")}
    with run_dir.locked():
        row = only_one(run_dir.path.parent)
        assert row.state == "running"
    assert (row.iteration, row.images_per_second, row.resumes) == (4, 8.0, 1)
    assert row.rest_seconds == 2 * 8 / 8.0
    after = {path.name: path.stat().st_mtime_ns for path in run_dir.path.rglob("*")}
    assert before == {name: after[name] for name in before}


@pytest.mark.parametrize("listed", [True, False])
def test_after_a_resume_the_rate_of_the_session_before_is_not_shown(edited, listed):
    """Until the new one, on another device perhaps, has a window of its own."""
    began = [{"from_iteration": 0, "status": "killed"}, {"from_iteration": 4, "status": "running"}]
    run_dir = edited(status="running", iterations_done=4, resumed_at=[4], images_per_second=100.0)
    record = json.loads(run_dir.record.read_text())
    record = {**record, "sessions": began} if listed else {k: v for k, v in record.items() if k != "sessions"}
    run_dir.record.write_text(json.dumps(record))
    window = json.loads(run_dir.metrics.read_text().splitlines()[0])

    def reached(iteration):
        row = {**window, "event": "train", "iteration": iteration, "images_per_second": 8.0}
        run_dir.metrics.write_text(json.dumps(row) + "\n")
        with run_dir.locked():
            return only_one(run_dir.path.parent)

    before, after = reached(4), reached(5)
    run_dir.record.write_text(json.dumps({**record, "status": "interrupted"}))
    images_are_read = reached(5)
    assert (images_are_read.images_per_second, images_are_read.rest_seconds) == (None, None)
    assert (before.iteration, before.images_per_second, before.rest_seconds) == (4, None, None)
    assert (after.iteration, after.images_per_second, after.rest_seconds) == (5, 8.0, 1.0)


def test_a_run_that_was_stopped_says_where_it_goes_on(edited):
    run_dir = edited(status="interrupted", iterations_done=5, resumed_at=[2, 4])
    del_sessions = json.loads(run_dir.record.read_text())
    del del_sessions["sessions"]
    run_dir.record.write_text(json.dumps(del_sessions))
    row = only_one(run_dir.path.parent)
    assert (row.state, row.iteration, row.resumes) == ("stopped", 6, 2)
    assert row.rest_seconds is None


def test_a_run_that_diverged_is_told(edited):
    run_dir = edited(status="diverged", iterations_done=5)
    row = only_one(run_dir.path.parent)
    assert (row.state, row.problem) == ("stopped", "it diverged at iteration 5")


@pytest.mark.parametrize("status", ["spec", "record"])
def test_what_is_damaged_is_named_and_ends_nothing(edited, status):
    run_dir = edited()
    getattr(run_dir, status).write_text("{")
    row = only_one(run_dir.path.parent)
    assert row.state == ("damaged" if status == "spec" else "stopped")
    assert "is damaged" in row.problem


def test_a_run_of_another_spec_at_its_place(edited):
    run_dir = edited()
    run_dir.spec.write_text(run_dir.spec.read_text().replace("seed = 0", "seed = 7", 1))
    row = only_one(run_dir.path.parent)
    assert (row.state, "another spec" in row.problem) == ("damaged", True)


@pytest.mark.parametrize(
    ("noted", "known"),
    [
        ({"protocol": ITEM.table.protocol, "selection": "last", "iteration": 6}, 12.5),
        ({"protocol": "ten-crop", "selection": "last", "iteration": 6}, None),
        ({"protocol": ITEM.table.protocol, "selection": "best-val", "iteration": 3}, None),
        ({"protocol": ITEM.table.protocol, "selection": "last", "iteration": 3}, None),
    ],
)
def test_a_test_error_that_is_known_already(edited, finished, noted, known):
    run_dir = edited(results={"test": {"top1_error": 12.5, **noted}})
    run_dir.checkpoints.mkdir()
    run_dir.last.write_bytes((finished / run_dir.path.name / "checkpoints" / "last.safetensors").read_bytes())
    row = only_one(run_dir.path.parent)
    assert (row.state, row.test_error) == ("finished", known)
