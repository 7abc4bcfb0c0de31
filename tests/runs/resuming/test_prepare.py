"""What a resumed run repeats of its first start, and what it says where it cannot."""

import hashlib
import json
import shutil
from dataclasses import replace

import pytest
import torch
from shape_run import CPU, CPU_FP32, SMALL, begin

from rescli.checkpoints.checkpoint import read_tensors
from rescli.checkpoints.serialise import serialise
from rescli.errors import CheckpointError, DataError, Interrupted, UsageError
from rescli.hardware.numerics import Numerics
from rescli.runs.directory import RunDir
from rescli.runs.drive import execute
from rescli.runs.resuming.prepare import prepare_resume
from rescli.runs.saved_state import load_state, save_state
from rescli.runs.where import Where
from rescli.spec.load import load_spec
from rescli.training.events import Event, StepDone


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


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
    assert "It is written anew" in warning
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


def test_a_resume_by_another_number_of_processes_is_said(tmp_path, caplog):
    run_dir, _ = begin(tmp_path / "run", CPU_FP32)
    prepare_resume(run_dir, CPU)
    assert "batch normalisation" not in caplog.text
    record = json.loads(run_dir.record.read_text())
    run_dir.record.write_text(json.dumps({**record, "ranks": 2}))
    prepare_resume(run_dir, CPU)
    assert "trained by 2 processes so far and goes on in 1" in caplog.text
