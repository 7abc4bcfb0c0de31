"""What a run records while it is driven, and what a failed one says and keeps."""

import errno
import json
import os
import shutil

import pytest
import torch
from shape_run import CPU, CPU_FP32, SMALL, begin

from rescli.errors import CheckpointError, DivergedError, Interrupted, LostWorkersError
from rescli.hardware.numerics import Numerics
from rescli.runs import drive
from rescli.runs.assembly import assemble
from rescli.runs.directory import RunDir
from rescli.runs.drive import execute
from rescli.runs.resuming.prepare import prepare_resume
from rescli.spec.load import load_spec
from rescli.training.events import MetricsReady, StepDone


def test_a_run_that_diverges_after_a_save_names_that_checkpoint(tmp_path):
    broken = []

    def break_the_weights(event):
        if event.step == 4 and not broken:
            broken.append(True)
            with torch.no_grad():
                states[0].model.fc.bias.fill_(float("nan"))

    states = []
    import rescli.runs.drive as module

    real = module.fit

    def watched(state, *arguments, **options):
        states.append(state)
        return real(state, *arguments, **options)

    module.fit = watched
    try:
        with pytest.raises(DivergedError, match="nan at iteration 5") as caught:
            begin(tmp_path / "run", Numerics(torch.device("cpu"), "fp32"), sinks=[break_the_weights])
    finally:
        module.fit = real
    last = tmp_path / "run" / "checkpoints" / "last.safetensors"
    assert f"the last good checkpoint is {last}" in caught.value.hint
    assert json.loads((tmp_path / "run" / "record.json").read_text())["status"] == "diverged"
    assert json.loads((tmp_path / "run" / "record.json").read_text())["iterations_done"] >= 3


def test_the_record_counts_what_was_done(tmp_path):
    _, record = begin(tmp_path / "run", Numerics(torch.device("cpu"), "fp32"))
    assert record["iterations_done"] == 6
    assert record["images_per_second"] == pytest.approx(6 * 8 / record["train_seconds"], rel=0.01)
    assert record["results"]["train"]["iteration"] == 6
    assert record["params"] == 75_290
    assert record["engine"] == "eager"
    assert not any("environ" in key for key in record)


def test_seconds_of_training_survive_a_stop_in_mid_window(tmp_path):
    asked = iter([False] * 5 + [True])
    with pytest.raises(Interrupted):
        begin(
            tmp_path / "run",
            CPU_FP32,
            [("metrics.every", 100), ("checkpoint.every", 100)],
            should_stop=lambda: next(asked),
        )
    stopped = json.loads((tmp_path / "run" / "record.json").read_text())
    assert stopped["train_seconds"] > 0
    assert stopped["images_per_second"] > 0
    run_dir = RunDir.open(tmp_path / "run")
    assembly, saved = prepare_resume(run_dir, CPU)
    assert saved.numbers["window_seconds"] == pytest.approx(stopped["train_seconds"], abs=0.001)
    windows = []
    record = execute(
        assembly,
        run_dir,
        saved=saved,
        sinks=[lambda e: windows.append(e) if isinstance(e, MetricsReady) else None],
    )
    # The one window spans the stop: its speed counts the seconds before it too.
    assert windows[0].num_images / windows[0].images_per_second > stopped["train_seconds"] - 0.001
    assert record["train_seconds"] > stopped["train_seconds"]


def test_what_was_trained_before_workers_were_lost_is_saved(tmp_path):
    """No batch comes at step 3: the state before it goes on, to the bits of a run without a loss."""
    with RunDir.create(tmp_path / "run") as run_dir:
        spec = load_spec("shapes/base", SMALL)
        run_dir.write_spec(spec)
        assembly = assemble(spec, CPU, numerics=CPU_FP32)
        batch = assembly.loader.batch

        def lost(step):
            if step == 3:
                raise LostWorkersError("a process is lost.")
            return batch(step)

        assembly.loader.batch = lost
        with pytest.raises(LostWorkersError, match="The state of iteration 3 is saved") as caught:
            execute(assembly, run_dir)
    assert [remedy.setting for remedy in caught.value.remedies] == ["resume"]
    record = json.loads(run_dir.record.read_text())
    assert (record["status"], record["iterations_done"], record["last_saved_iteration"]) == ("failed", 3, 3)
    again, saved = prepare_resume(run_dir, CPU)
    execute(again, run_dir, saved=saved)
    whole, _ = begin(tmp_path / "whole", CPU_FP32)
    assert run_dir.last.read_bytes() == whole.last.read_bytes()


def test_a_stop_while_it_waits_for_images_saves_what_was_trained(tmp_path):
    with RunDir.create(tmp_path / "run") as run_dir:
        spec = load_spec("shapes/base", SMALL)
        run_dir.write_spec(spec)
        assembly = assemble(spec, CPU, numerics=CPU_FP32)
        batch, asked = assembly.loader.batch, []

        def late(step):
            if step == 3:
                asked.append(assembly.loader.should_stop())
                raise Interrupted("stopped while it waited for images.")
            return batch(step)

        assembly.loader.batch = late
        with pytest.raises(Interrupted, match=r"stopped after iteration 3 of .*; the state is saved"):
            execute(assembly, run_dir, should_stop=lambda: False)
    assert asked == [False]
    assert json.loads(run_dir.record.read_text())["last_saved_iteration"] == 3


def test_a_full_disk_leaves_the_last_state_and_names_the_way_on(tmp_path, monkeypatch):
    replace = os.replace
    full = []

    def refuse(source, target):
        if "state" in str(target) and "/00000006" in str(target):
            full.append(target)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(CheckpointError, match="No space left on device") as caught:
        begin(tmp_path / "run", CPU_FP32)
    assert full
    (remedy,) = caught.value.remedies
    assert (remedy.setting, remedy.value) == ("resume", tmp_path / "run")
    assert not [*(tmp_path / "run").rglob("*.tmp")]
    monkeypatch.undo()
    run_dir = RunDir.open(tmp_path / "run")
    again, saved = prepare_resume(run_dir, CPU)
    assert saved is not None
    execute(again, run_dir, saved=saved)
    whole, _ = begin(tmp_path / "whole", CPU_FP32)
    assert run_dir.last.read_bytes() == whole.last.read_bytes()


@pytest.mark.parametrize("met", [None, CheckpointError("cannot write it"), FileNotFoundError("gone")])
def test_a_directory_that_was_deleted_under_the_run_is_named(tmp_path, met):
    def delete(event):
        if isinstance(event, StepDone) and event.step == 3:
            shutil.rmtree(tmp_path / "run")
            if met is not None:
                raise met

    with pytest.raises(CheckpointError, match="was deleted or moved while the run was trained"):
        begin(tmp_path / "run", CPU_FP32, sinks=[delete])
    assert not (tmp_path / "run" / "record.json").exists()


def test_a_directory_that_was_moved_under_the_run_stays_the_only_one(tmp_path):
    def move(event):
        if isinstance(event, StepDone) and event.step == 3:
            (tmp_path / "run").rename(tmp_path / "moved")

    with pytest.raises(CheckpointError, match="was moved to") as caught:
        begin(tmp_path / "run", CPU_FP32, sinks=[move])
    assert not (tmp_path / "run").exists()
    (remedy,) = caught.value.remedies
    assert (remedy.setting, remedy.value) == ("resume", str(tmp_path / "moved"))
    assert (tmp_path / "moved" / "spec.toml").is_file()


def test_a_long_evaluation_tells_the_sinks_how_far_it_is_and_no_log(tmp_path, monkeypatch):
    from rescli.training.events import EvalRunning

    seen = []
    numerics = Numerics(torch.device("cpu"), "fp32")
    quick, _ = begin(tmp_path / "quick", numerics, sinks=[seen.append])
    assert not [event for event in seen if isinstance(event, EvalRunning)]
    seen.clear()
    monkeypatch.setattr(drive, "_TELL_SECONDS", 0.0)
    slow, _ = begin(tmp_path / "slow", numerics, sinks=[seen.append])
    told = [event for event in seen if isinstance(event, EvalRunning)]
    assert told
    assert all(0 < event.done <= event.total for event in told)
    assert told[-1].done == told[-1].total
    assert quick.last.read_bytes() == slow.last.read_bytes()
    assert "running" not in slow.metrics.read_text()
