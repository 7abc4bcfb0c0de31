"""``rescli.train`` and ``rescli.resume``, as Python calls them."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

import rescli
from rescli import registry
from rescli.errors import CheckpointError, Interrupted, RunDirError, SpecError, UnknownNameError, UsageError
from rescli.runs.logger import LoggedRun
from rescli.spec.run import RunSpec
from rescli.training.events import EngineChosen, EvalDone, FitDone, MetricsReady, StepDone
from rescli.workflows.results.run import Run
from rescli.workflows.spec import dry_run

OPTIONS: dict[str, Any] = {"device": "cpu", "kernels": "plain", "progress": False}


@pytest.fixture
def spec() -> RunSpec:
    """Twelve iterations of a small net on few embedded images."""
    return rescli.spec(
        "shapes/base",
        {
            "model": {"kind": "resnet", "depth": 8},
            "iterations": 12,
            "precision": "fp32",
            "data.batch_size": 16,
            "data.dataset.num_train": 200,
            "data.dataset.num_val": 50,
            "data.dataset.num_test": 60,
            "evaluation.every": 5,
            "checkpoint.every": 4,
            "metrics.every": 3,
        },
    )


def weights(run: Path) -> bytes:
    return (run / "checkpoints" / "last.safetensors").read_bytes()


def test_a_run_is_read_off_its_directory(spec: RunSpec, tmp_path: Path) -> None:
    run = rescli.train(spec, out=tmp_path / "run", seed=3, **OPTIONS)
    assert Path(run) == run.path == tmp_path / "run"
    assert run.record["status"] == "finished"
    assert run.spec.seed == 3
    assert [row["iteration"] for row in run.metrics if row["event"] == "train"] == [3, 6, 9, 12]
    assert len(run.curves().axes[0].get_lines()) == 2
    assert "finished after 12 iterations" in run._repr_html_()
    assert (tmp_path / "run" / "curves.png").is_file()
    assert run.net().spec == run.spec


def test_its_events_come_in_order_and_nothing_is_printed(
    spec: RunSpec, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    events: list[Any] = []
    rescli.train(spec, out=tmp_path / "run", on_event=events.append, device="cpu", kernels="plain")
    assert isinstance(events[0], EngineChosen)
    assert isinstance(events[-1], FitDone)
    assert [event.step for event in events if isinstance(event, StepDone)] == list(range(1, 13))
    assert [event.step for event in events if isinstance(event, EvalDone)] == [5, 10, 12]
    assert capfd.readouterr() == ("", "")


def test_ctrl_c_saves_and_resume_ends_with_the_same_bits(spec: RunSpec, tmp_path: Path) -> None:
    whole = rescli.train(spec, out=tmp_path / "whole", **OPTIONS)

    def press(event: object) -> None:
        if isinstance(event, StepDone) and event.step == 5:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="stopped after iteration 5 of 12; the state is saved") as stopped:
        rescli.train(spec, out=tmp_path / "run", on_event=press, **OPTIONS)
    assert signal.getsignal(signal.SIGINT) == before
    assert stopped.value.clean
    assert stopped.value.__notes__ == [f'try: rescli.resume("{tmp_path / "run"}")']
    run = rescli.resume(tmp_path / "run", progress=False)
    assert run.record["resumed_at"] == [5]
    assert weights(run.path) == weights(whole.path)


def test_a_keyboard_interrupt_from_a_sink_saves_too(spec: RunSpec, tmp_path: Path) -> None:
    def impatient(event: object) -> None:
        if isinstance(event, MetricsReady):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="after iteration 3 of 12; the state is saved"):
        rescli.train(spec, out=tmp_path / "run", on_event=impatient, **OPTIONS)
    assert json.loads((tmp_path / "run" / "record.json").read_text())["status"] == "interrupted"


def test_a_notebook_shows_a_run_that_goes_on(spec: RunSpec, tmp_path: Path, notebook_cell: Any) -> None:
    def impatient(event: object) -> None:
        if isinstance(event, MetricsReady):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        rescli.train(spec, out=tmp_path / "run", on_event=impatient, device="cpu", kernels="plain")
    assert "3/12" in notebook_cell.left
    rescli.resume(tmp_path / "run")
    assert len(notebook_cell.outputs) == 2
    assert "12/12" in notebook_cell.outputs[1][-1]


def test_in_another_thread_no_handler_is_set_and_the_run_ends(spec: RunSpec, tmp_path: Path) -> None:
    ended: list[Any] = []
    thread = threading.Thread(
        target=lambda: ended.append(rescli.train(spec, out=tmp_path / "run", **OPTIONS))
    )
    thread.start()
    thread.join()
    assert [run.record["status"] for run in ended] == ["finished"]


class Counting:
    """A logger of one's own: it keeps how many events came, and that it was closed."""

    def __init__(self, run: LoggedRun) -> None:
        self.path = run.path / "events.txt"
        self.begun, self.count = run.start_step, 0

    def __call__(self, _event: object, /) -> None:
        self.count += 1

    def close(self) -> None:
        self.path.write_text(f"{self.begun} {self.count}")


def test_a_logger_of_ones_own_by_class_and_by_name(spec: RunSpec, tmp_path: Path) -> None:
    events: list[Any] = []
    run = rescli.train(spec, out=tmp_path / "a", loggers=[Counting], on_event=events.append, **OPTIONS)
    assert (run.path / "events.txt").read_text() == f"0 {len(events)}"
    with registry.override("loggers", "counting", Counting):
        named = rescli.train(spec, out=tmp_path / "b", loggers=["counting"], **OPTIONS)
    assert (named.path / "events.txt").read_text() == f"0 {len(events)}"


def test_what_cannot_work_is_refused_and_leaves_nothing(spec: RunSpec, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for error, options in (
        (UnknownNameError, {"loggers": ["tensorbord"]}),
        (SpecError, {"seed": -1}),
        (UsageError, {"engine": "graph"}),
        (UsageError, {"budget": "soon"}),
        (UsageError, {"device": "cuda:99"}),
    ):
        with pytest.raises(error):
            rescli.train(spec, out=out, **{**OPTIONS, **options})
        assert not out.exists()


def test_a_run_directory_is_not_trained_over(spec: RunSpec, tmp_path: Path) -> None:
    rescli.train(spec, out=tmp_path, **OPTIONS)
    with pytest.raises(RunDirError, match="holds a run already") as refused:
        rescli.train(spec, out=tmp_path, **OPTIONS)
    assert f'try: rescli.resume("{tmp_path}")' in refused.value.__notes__


def test_weights_of_another_net_are_refused_and_leave_nothing(spec: RunSpec, tmp_path: Path) -> None:
    other = rescli.train(spec, out=tmp_path / "first", **OPTIONS)
    checkpoint = other.path / "checkpoints" / "last.safetensors"
    from rescli.checkpoints.header import warm_start_from

    start = warm_start_from(checkpoint)
    wider = rescli.spec(str(other.path / "spec.toml"), {"model.depth": 14})
    begun = {"start_from": {"checkpoint": start.checkpoint, "sha256": start.sha256}}
    unfit = type(wider).model_validate({**wider.to_dict(), **begun})
    with pytest.raises(CheckpointError, match="do not fit this network"):
        rescli.train(unfit, out=tmp_path / "second", **OPTIONS)
    assert not (tmp_path / "second").exists()


def test_what_is_odd_in_a_plan_is_a_warning_with_arguments(
    spec: RunSpec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few = {"iterations": 1, "data.batch_size": 1, "data.dataset.num_train": 5, "data.dataset.num_val": 3}
    odd = rescli.spec("shapes/base", {"model": {"kind": "resnet", "depth": 8}, **few})
    rescli.train(odd, out=tmp_path / "odd", **OPTIONS)
    one, small = [record.getMessage() for record in caplog.records]
    assert one.endswith('; try changes={"data.batch_size": 16}')
    assert small == "the validation part has 3 images: one image is 33 % of its error"
    caplog.clear()
    rescli.train(spec, out=tmp_path / "usual", **OPTIONS)
    rescli.train(dry_run(odd), out=tmp_path / "seen", **OPTIONS)
    assert not caplog.records


def test_several_processes_and_a_budget_do_not_go_together(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="a budget times a step in one process"):
        rescli.train(spec, out=tmp_path / "run", budget="1m", **OPTIONS)


def test_a_path_and_a_lone_logger_are_taken_and_metrics_are_written_once(
    spec: RunSpec, tmp_path: Path
) -> None:
    file = tmp_path / "spec.toml"
    first = rescli.train(spec, out=tmp_path / "a", **OPTIONS)
    file.write_text((first.path / "spec.toml").read_text())
    run = rescli.train(file, out=tmp_path / "b", loggers="jsonl", on_event=None, **OPTIONS)
    assert len(run.metrics) == len(first.metrics)
    assert weights(run.path) == weights(first.path)


def test_a_finished_run_is_given_back_untouched_even_without_its_images(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = rescli.train(spec, out=tmp_path / "run", **OPTIONS)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    monkeypatch.setattr(
        "rescli.runs.resuming.prepare.assemble", lambda *_, **__: pytest.fail("nothing is to be read")
    )
    starts: list[Any] = []
    again = rescli.resume(run, on_start=starts.append, **OPTIONS)
    assert again.is_finished
    assert starts[0].step == 12
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_a_sink_that_raises_closes_the_record_and_is_not_taken_for_the_network(
    spec: RunSpec, tmp_path: Path
) -> None:
    from torch import nn

    class Probe(nn.Module):
        def forward(self, _: object) -> None:
            raise ValueError("of the sink")

    def sink(event: object) -> None:
        if isinstance(event, MetricsReady):
            Probe()(event)

    with pytest.raises(ValueError, match="of the sink"):
        rescli.train(spec, out=tmp_path / "run", on_event=sink, **OPTIONS)
    assert rescli.resume(tmp_path / "run", **OPTIONS).record["status"] == "finished"


def test_a_run_that_begins_with_another_ones_weights(spec: RunSpec, tmp_path: Path) -> None:
    first = rescli.train(spec, out=tmp_path / "first", **OPTIONS)
    tuned = rescli.spec("shapes/base", {"iterations": 3, "data.batch_size": 16}, start_from=first.path)
    assert tuned.model == spec.model
    assert tuned.start_from is not None
    assert tuned.start_from.checkpoint == str(first.path / "checkpoints" / "last.safetensors")
    second = rescli.train(tuned, out=tmp_path / "second", **OPTIONS)
    assert second.is_finished


def test_what_will_be_trained_can_be_planned_first(spec: RunSpec, tmp_path: Path) -> None:
    from rescli.workflows.spec import dry_run

    planned = dry_run(spec)
    assert planned.plan.total_steps == 12
    assert planned.to_dict()["spec_sha256"] == spec.fingerprint()
    run = rescli.train(planned, out=tmp_path / "run", seed=2, **OPTIONS)
    assert run.spec.seed == 2


def test_a_run_whose_speed_is_not_that_of_its_trial_begins_again_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The trial took 0.2 s a step: the run takes far less, and begins again with a longer course."""
    from rescli.runs.budget import one_run
    from rescli.runs.budget.trial import RunCost

    long = rescli.spec(
        "shapes/base",
        {"model": {"kind": "resnet", "depth": 8}, "data.batch_size": 8, "data.dataset.num_train": 64}
        | {"data.dataset.num_val": 8, "metrics.every": 5, "iterations": 60000, "precision": "fp32"},
    )
    costs = iter([RunCost(0.0, 0.2), RunCost(0.0, 0.1)])
    monkeypatch.setattr(one_run, "measure_cost", lambda *_, **__: next(costs))
    starts: list[Any] = []
    run = rescli.train(long, out=tmp_path / "run", budget="30s", on_start=starts.append, **OPTIONS)
    first, second = (start.spec.iterations for start in starts)
    assert 100 < first < 140 < second < 280
    assert run.record["iterations_done"] == run.spec.iterations == second
    iterations = [row["iteration"] for row in run.metrics if row["event"] == "train"]
    assert iterations == sorted(set(iterations))
    assert "not the 200 ms of the trial: the run is planned anew and begins again" in caplog.text
    assert run.record["resumed_at"] == []


def test_a_budget_counts_from_the_call(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is spent before the trial, on reading images, is spent."""
    import time

    from rescli.runs.budget import one_run
    from rescli.runs.budget.trial import RunCost

    monkeypatch.setattr(one_run, "measure_cost", lambda *_, **__: RunCost(0.0, 0.001))
    now, late = time.perf_counter, iter([0.0])
    monkeypatch.setattr("rescli.workflows.train.time.perf_counter", lambda: now() - next(late, 0.0))
    starts: list[Any] = []
    rescli.train(spec, out=tmp_path / "whole", budget="30s", on_start=starts.append, **OPTIONS)
    late = iter([29.99])
    with pytest.raises(UsageError, match="too short"):
        rescli.train(spec, out=tmp_path / "late", budget="30s", **OPTIONS)
    assert starts[0].spec == starts[0].whole_spec
    assert not (tmp_path / "late").exists()


def test_what_is_said_to_be_finished_has_its_curves(spec: RunSpec, tmp_path: Path) -> None:
    """A kill after that leaves nothing to be made good."""
    seen: list[bool] = []

    def look(event: object) -> None:
        if isinstance(event, FitDone):
            assert Run(tmp_path / "run").record["status"] == "finished"
            seen.append((tmp_path / "run" / "curves.png").is_file())

    rescli.train(spec, out=tmp_path / "run", on_event=look, **OPTIONS)
    assert seen == [True]


def test_a_run_that_vanishes_at_its_end_is_no_success(spec: RunSpec, tmp_path: Path) -> None:
    def take_away(event: object) -> None:
        if isinstance(event, FitDone):
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(CheckpointError, match="was deleted or moved while the run was trained"):
        rescli.train(spec, out=tmp_path / "run", on_event=take_away, **OPTIONS)
    assert not (tmp_path / "run").exists()


def test_a_run_whose_first_record_cannot_be_written_leaves_nothing(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise CheckpointError("no room")

    with monkeypatch.context() as patched:
        patched.setattr("rescli.runs.saver.write_json", full)
        with pytest.raises(CheckpointError, match="no room"):
            rescli.train(spec, out=tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run").exists()
