"""metrics.jsonl as it is written: every row once, in order, and only what a saved state saw."""

from dataclasses import replace

import pytest

from rescli.errors import CheckpointError
from rescli.loggers.jsonl import JsonlLogger
from rescli.runs.logger import LoggedRun
from rescli.runs.metrics_log import read_metrics
from rescli.spec.load import load_spec
from rescli.training.events import EvalDone, EvalResult, MetricsReady, StepDone


def opened(folder, keep=0, sha256=None):
    return JsonlLogger(LoggedRun(folder, load_spec("quickstart"), 0, keep, sha256))


def metrics(step):
    return MetricsReady(step, 0.5, 0.1, 2.0, 80.0, 32, 100.0, 1.5)


def test_rows_tell_what_happened_and_when(tmp_path):
    log = opened(tmp_path)
    for event in (StepDone(1, 0.1), metrics(3), EvalDone(3, 0.5, EvalResult(50, 70.0, 20.0, 1.9), best=True)):
        log(event)
    log.close()
    train, val = read_metrics(tmp_path / "metrics.jsonl")
    assert (train["event"], train["iteration"], train["lr"], train["top1_error"]) == ("train", 3, 0.1, 80.0)
    assert (val["event"], val["iteration"], val["top1_error"], val["best"]) == ("val", 3, 70.0, True)


def test_the_wait_for_images_is_logged_where_images_are_waited_for(tmp_path):
    log = opened(tmp_path)
    log(metrics(1))
    log(replace(metrics(2), waited_seconds=0.25))
    log.close()
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert ["waited_seconds" in row for row in rows] == [False, True]
    assert rows[1]["waited_seconds"] == 0.25


def test_rows_of_lost_iterations_are_cut_off(tmp_path):
    log = opened(tmp_path)
    log(metrics(1))
    keep, sha256 = log.sync()
    log(metrics(2))
    log.close()
    log = opened(tmp_path, keep, sha256)
    log(metrics(3))
    log.close()
    assert [row["iteration"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1, 3]


def test_a_log_shorter_than_the_state_says_is_damaged(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(CheckpointError, match="3 bytes are left of 50"):
        opened(tmp_path, 50)


def test_a_log_that_was_edited_is_damaged_and_left_alone(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = opened(tmp_path)
    log(metrics(1))
    keep, sha256 = log.sync()
    log.close()
    path.write_bytes(path.read_bytes().replace(b"80.0", b"08.0"))
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="its rows are not those that were written"):
        opened(tmp_path, keep, sha256)
    assert path.read_bytes() == before


def test_a_figure_that_is_not_a_number_is_never_written(tmp_path):
    log = opened(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        log(EvalDone(3, 0.5, EvalResult(50, 70.0, 20.0, float("nan")), best=True))
    log.close()
