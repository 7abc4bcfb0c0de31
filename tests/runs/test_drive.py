"""What a resumed run repeats of its first start, and what a failed one says."""

import errno
import hashlib
import json
import os
import shutil
from dataclasses import replace

import pytest
import torch

from rescli.checkpoints.checkpoint import read_tensors
from rescli.checkpoints.serialise import serialise
from rescli.errors import CheckpointError, DataError, DivergedError, Interrupted, LostWorkersError, UsageError
from rescli.hardware.numerics import Numerics
from rescli.runs import drive
from rescli.runs.assembly import assemble
from rescli.runs.directory import RunDir
from rescli.runs.drive import execute
from rescli.runs.resuming.prepare import prepare_resume
from rescli.runs.saved_state import load_state, save_state
from rescli.runs.where import Where
from rescli.spec.load import load_spec
from rescli.training.events import Event, MetricsReady, StepDone

CPU = Where("cpu")

SMALL = [
    ("model", {"kind": "resnet", "depth": 8}),
    ("data.dataset", {"kind": "shapes", "num_train": 100, "num_val": 20, "num_test": 20}),
    ("data.batch_size", 8),
    ("iterations", 6),
    ("metrics.every", 2),
    ("checkpoint.every", 3),
    ("evaluation.every", 3),
]


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def begin(path, numerics, overrides=(), **options):
    spec = load_spec("shapes/base", [*SMALL, *overrides])
    with RunDir.create(path) as run_dir:
        run_dir.write_spec(spec)
        assembly = assemble(spec, numerics=numerics)
        return run_dir, execute(assembly, run_dir, **options)


@pytest.mark.usefixtures("threads")
def test_a_resumed_run_repeats_precision_device_and_threads_of_its_first_start(tmp_path):
    # auto would choose by the hardware of the day; the run's own choice was fp32 on the CPU with 1 thread.
    torch.set_num_threads(1)
    run_dir, record = begin(tmp_path / "run", Numerics(torch.device("cpu"), "fp32"))
    assert (record["precision"], record["threads"]) == ("fp32", 1)
    torch.set_num_threads(2)
    assembly, saved = prepare_resume(run_dir, Where())
    assert assembly.numerics == Numerics(torch.device("cpu"), "fp32")
    assert torch.get_num_threads() == saved.threads == 1
    assert saved.step == 6


def test_the_precision_of_the_spec_counts_where_nothing_was_saved_yet(tmp_path):
    with RunDir.create(tmp_path / "run") as run_dir:
        run_dir.write_spec(load_spec("shapes/base", [*SMALL, ("precision", "fp32")]))
    assembly, saved = prepare_resume(run_dir, CPU)
    assert saved is None
    assert assembly.numerics.precision == "fp32"


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


CPU_FP32 = Numerics(torch.device("cpu"), "fp32")


def test_a_run_whose_state_is_gone_is_not_trained_over(tmp_path):
    run_dir, _ = begin(tmp_path / "run", CPU_FP32)
    shutil.rmtree(run_dir.state)
    before = run_dir.metrics.read_bytes()
    with pytest.raises(CheckpointError, match=r"saved a state at iteration 6, but .*latest\.json is gone"):
        prepare_resume(run_dir, CPU)
    assert run_dir.metrics.read_bytes() == before


def test_the_data_root_is_that_of_the_first_start_unless_another_is_given(tmp_path):
    with RunDir.create(tmp_path / "run") as run_dir:
        run_dir.write_spec(load_spec("shapes/base", SMALL), tmp_path / "first")
    for given, used in ((None, "first"), (tmp_path / "second", "second"), (None, "second")):
        assembly, saved = prepare_resume(run_dir, Where("cpu", given))
        assert assembly.data_root == tmp_path / used
        execute(assembly, run_dir, saved=saved)


@pytest.mark.parametrize(
    ("saved_with", "asked", "goes_on_with"),
    [("winograd", None, "winograd"), (None, None, "torch"), (None, "native", "winograd")],
)
def test_a_run_goes_on_with_its_convolutions(tmp_path, monkeypatch, saved_with, asked, goes_on_with):
    """A state of an earlier version says nothing of them: they were torch's, whose bits are repeated."""
    monkeypatch.setattr("rescli.training.engines.choose.self_test", lambda *_: None)
    monkeypatch.setattr("rescli.kernels.conv.choice._why_not", lambda _: None)
    run_dir, record = begin(tmp_path / "run", CPU_FP32)
    assert record["convolutions"]["forward"] == "winograd"
    if saved_with is None:
        forget(run_dir.state, "convolutions")
    assembly, _ = prepare_resume(run_dir, Where("cpu", kernels=asked))
    assert assembly.kernels.convolutions.name == goes_on_with


def test_a_run_in_several_processes_goes_on_with_its_convolutions(tmp_path, monkeypatch):
    monkeypatch.setattr("rescli.training.engines.choose.self_test", lambda *_: None)
    monkeypatch.setattr("rescli.kernels.conv.choice._why_not", lambda _: None)
    run_dir, _ = begin(tmp_path / "run", CPU_FP32)
    forget(run_dir.state, "convolutions")
    monkeypatch.setattr("rescli.runs.resuming.prepare.num_ranks", lambda: 2)
    assembly, _ = prepare_resume(run_dir, CPU)
    assert assembly.kernels.convolutions.name == "torch"


def test_a_run_whose_convolutions_do_not_work_here_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("rescli.training.engines.choose.self_test", lambda *_: None)
    monkeypatch.setattr("rescli.kernels.conv.choice._why_not", lambda _: None)
    run_dir, _ = begin(tmp_path / "run", CPU_FP32)
    prepare_resume(run_dir, CPU)
    assert not caplog.records
    monkeypatch.setattr("rescli.kernels.conv.choice._why_not", lambda _: "the processor has no AVX2")
    prepare_resume(run_dir, CPU)
    (record,) = caplog.records
    assert "Winograd's convolutions" in record.getMessage()
    assert "the processor has no AVX2" in record.getMessage()


def forget(state, key):
    """Take what an earlier version did not write out of the newest state."""
    pointer = state / "latest.json"
    path = state / json.loads(pointer.read_text())["file"]
    tensors, texts, _ = read_tensors(path)
    meta = json.loads(texts["state"])
    del meta[key]
    path.write_bytes(b"".join(serialise(tensors, {"state": json.dumps(meta)})))
    pointer.write_text(
        json.dumps({"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    )


def test_a_state_of_an_earlier_version_knows_the_data_root(tmp_path):
    run_dir, _ = begin(tmp_path / "run", CPU_FP32)
    spec = run_dir.read_spec()
    saved = replace(load_state(run_dir.state, spec), data_root=str(tmp_path))
    save_state(run_dir.state, saved, spec)
    assert prepare_resume(run_dir, CPU)[0].data_root == tmp_path


def test_other_images_than_the_runs_are_refused(tmp_path, monkeypatch):
    run_dir, _ = begin(tmp_path / "run", CPU_FP32)
    import rescli.data.shapes.images as shapes

    real = shapes.make_shapes
    monkeypatch.setattr(shapes, "make_shapes", lambda *, seed, **options: real(seed=seed + 1, **options))
    with pytest.raises(DataError, match="fingerprints differ"):
        prepare_resume(run_dir, CPU)


DAMAGE = {
    "cut": lambda text: text[: len(text) // 2],
    "no record": lambda _: "[]",
    "a wrong type": lambda text: json.dumps({**json.loads(text), "resumed_at": 4}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_stops_no_resume_and_is_written_anew(tmp_path, damage, caplog):
    _, whole = begin(tmp_path / "whole", CPU_FP32)
    done: list[Event] = []
    with pytest.raises(Interrupted):
        begin(
            tmp_path / "run",
            CPU_FP32,
            sinks=[done.append],
            should_stop=lambda: any(isinstance(event, StepDone) and event.step == 4 for event in done),
        )
    run_dir = RunDir.open(tmp_path / "run")
    run_dir.record.write_text(DAMAGE[damage](run_dir.record.read_text()))
    assembly, saved = prepare_resume(run_dir, CPU)
    record = execute(assembly, run_dir, saved=saved)
    (warning,) = caplog.messages
    assert f"{run_dir.record} is damaged" in warning
    assert "it is written anew" in warning
    assert json.loads(run_dir.record.read_text()) == record
    assert (record["status"], record["resumed_at"], record["last_saved_iteration"]) == ("finished", [4], 6)
    assert record["started"] is None  # nobody knows any more
    assert record["results"] == whole["results"]
    checkpoints = [tmp_path / run / "checkpoints" / "last.safetensors" for run in ("whole", "run")]
    assert checkpoints[0].read_bytes() == checkpoints[1].read_bytes()


def test_a_run_with_a_damaged_record_and_no_state_is_not_trained_over(tmp_path):
    run_dir, _ = begin(tmp_path / "run", CPU_FP32)
    shutil.rmtree(run_dir.state)
    run_dir.record.write_text("{")
    with pytest.raises(CheckpointError, match=r"latest\.json is gone, .*record\.json is damaged") as caught:
        prepare_resume(run_dir, CPU)
    assert caught.value.exit_code == 4
    assert f"{run_dir.last} is there" in str(caught.value)
    assert [remedy.setting for remedy in caught.value.remedies] == ["train_anew"]
    # Before the first checkpoint there is nothing to lose.
    shutil.rmtree(run_dir.checkpoints)
    assembly, saved = prepare_resume(run_dir, CPU)
    assert saved is None
    assert execute(assembly, run_dir)["status"] == "finished"


def test_a_device_that_is_gone_is_named(tmp_path, monkeypatch):
    run_dir, _ = begin(tmp_path / "run", CPU_FP32)
    import rescli.runs.resuming.prepare as module

    def gone(_name):
        raise UsageError("not here")

    monkeypatch.setattr(module, "choose_device", gone)
    with pytest.raises(UsageError, match="the run was on cpu, which is not here"):
        prepare_resume(run_dir, Where())


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


@pytest.mark.parametrize(
    ("cores", "asked", "threads", "is_said"), [(1, None, 3, True), (3, None, 3, False), (1, 1, 1, False)]
)
def test_a_resume_on_fewer_cores_says_that_it_keeps_its_threads(
    tmp_path, monkeypatch, caplog, cores, asked, threads, is_said
):
    run_dir, _ = begin(tmp_path / "run", CPU_FP32)
    spec = run_dir.read_spec()
    save_state(run_dir.state, replace(load_state(run_dir.state, spec), threads=3), spec)
    monkeypatch.setattr("rescli.runs.resuming.prepare.usable_cores", lambda: cores)
    before = torch.get_num_threads()
    try:
        prepare_resume(run_dir, Where("cpu", threads=asked))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    said = [record.getMessage() for record in caplog.records]
    assert (len(said) == 1) == (is_said or asked is not None)
    if is_said:
        assert "began with 3 threads, and keeps them on the 1 core here" in said[0]
        assert "threads=1 lets that go" in said[0]
    elif asked:
        assert said == ["the run goes on with threads 1 in place of 3, and not bit for bit as it would have."]


def test_a_resume_by_other_kernels_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("rescli.training.engines.choose.self_test", lambda *_: None)
    run_dir, _ = begin(tmp_path / "run", CPU_FP32)
    prepare_resume(run_dir, Where("cpu", kernels="native"))
    assert not caplog.records
    prepare_resume(run_dir, Where("cpu", kernels="plain"))
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the run goes on with kernels plain in place of native, and not bit for bit as it would have."
    ]


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


def test_a_resume_by_another_number_of_processes_is_said(tmp_path, caplog):
    run_dir, _ = begin(tmp_path / "run", CPU_FP32)
    prepare_resume(run_dir, CPU)
    assert "batch normalisation" not in caplog.text
    record = json.loads(run_dir.record.read_text())
    run_dir.record.write_text(json.dumps({**record, "ranks": 2}))
    prepare_resume(run_dir, CPU)
    assert "trained by 2 processes so far and goes on in 1" in caplog.text
