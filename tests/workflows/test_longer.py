"""A run that goes on for longer: the same bits as one that was planned so from the start."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rescli as front_door
from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import RunDirError, UsageError
from rescli.spec.run import RunSpec
from rescli.workflows.results.run import Run

Rescli = Callable[..., Any]

OPTIONS: dict[str, Any] = {"device": "cpu", "kernels": "plain", "progress": False}


def spec_of(iterations: int, **changes: object) -> RunSpec:
    return front_door.spec(
        "shapes/base",
        {
            "model": {"kind": "resnet", "depth": 8},
            "iterations": iterations,
            "precision": "fp32",
            "data.batch_size": 16,
            "data.dataset.num_train": 200,
            "data.dataset.num_val": 50,
            "evaluation.every": 4,
            "checkpoint.every": 4,
            "metrics.every": 4,
            "schedule": {"kind": "multistep", "milestones": [6, 14], "gamma": 0.1},
            **changes,
        },
    )


def bits(folder: Path) -> dict[str, str]:
    """Every file of a run directory and its hash."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def state_of(run: Run) -> dict[str, Any]:
    """All tensors of the saved state: weights, statistics and momentum."""
    from rescli.runs.saved_state import load_state

    saved = load_state(run.path / "state", run.spec)
    assert saved is not None
    return saved.tensors


def test_it_ends_as_one_that_was_planned_for_so_many(tmp_path: Path) -> None:
    first = front_door.train(spec_of(8), out=tmp_path / "first", **OPTIONS)
    before = bits(first.path)
    longer = front_door.resume(first, iterations=20, out=tmp_path / "longer", progress=False)
    whole = front_door.train(spec_of(20), out=tmp_path / "whole", **OPTIONS)
    assert bits(first.path) == before
    ours, theirs = state_of(longer), state_of(whole)
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)
    assert longer.spec == whole.spec
    clock = {"images_per_second", "train_seconds"}
    rows = [
        [{k: v for k, v in row.items() if k not in clock} for row in run.metrics] for run in (longer, whole)
    ]
    assert rows[0] == rows[1]
    for name in ("last", "best"):
        files = [Checkpoint.read(run.path / "checkpoints" / f"{name}.safetensors") for run in (longer, whole)]
        assert files[0].iteration == files[1].iteration
        assert all(files[0].tensors[key].equal(files[1].tensors[key]) for key in files[0].tensors)


def test_the_record_says_what_it_goes_on_from(tmp_path: Path) -> None:
    first = front_door.train(spec_of(8), out=tmp_path / "first", **OPTIONS)
    starts: list[Any] = []
    longer = front_door.resume(
        first, iterations=12, out=tmp_path / "longer", progress=False, on_start=starts.append
    )
    assert longer.record["continues"] == {
        "run": str(tmp_path / "first"),
        "iteration": 8,
        "iterations": 8,
        "spec_sha256": first.spec.fingerprint(),
    }
    assert longer.record["resumed_at"] == [8]
    assert (starts[0].step, starts[0].longer.first) == (8, tmp_path / "first")
    assert starts[0].longer.lr == pytest.approx(first.spec.optimizer.lr / 10)  # past the first milestone
    assert "continues" not in first.record
    # Resumed once more it still knows.
    assert front_door.resume(longer, progress=False).record["continues"]["iteration"] == 8


def test_a_run_that_was_stopped_goes_on_for_longer_too(tmp_path: Path) -> None:
    def stop(event: Any) -> None:
        if getattr(event, "step", 0) == 5:
            raise KeyboardInterrupt

    with pytest.raises(front_door.errors.Interrupted):
        front_door.train(spec_of(8), out=tmp_path / "first", on_event=stop, **OPTIONS)
    longer = front_door.resume(tmp_path / "first", iterations=12, out=tmp_path / "longer", progress=False)
    whole = front_door.train(spec_of(12), out=tmp_path / "whole", **OPTIONS)
    assert all(tensor.equal(state_of(whole)[name]) for name, tensor in state_of(longer).items())


def test_what_cannot_be_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    first = front_door.train(spec_of(8), out=tmp_path / "first", **OPTIONS)
    out = tmp_path / "longer"
    with pytest.raises(UsageError, match="was planned for 8 iterations"):
        front_door.resume(first, iterations=8, out=out, progress=False)
    for only in ({"iterations": 12}, {"out": out}):
        with pytest.raises(UsageError, match="takes both, iterations and out"):
            front_door.resume(first, progress=False, **only)
    with pytest.raises(RunDirError, match="holds a run already"):
        front_door.resume(first, iterations=12, out=first.path.parent / "first", progress=False)
    assert not out.exists()
    assert first.record["status"] == "finished"


def test_the_hint_of_a_finished_run_works_as_typed(
    rescli: Rescli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    front_door.train(spec_of(8), out=tmp_path / "my run", **OPTIONS)
    answer = rescli("train", "--resume", "my run", "--iterations", 12)
    assert (answer.code, answer.out) == (2, "")
    assert "these keys differ: iterations (8, and 12 wanted)" in answer.err
    longer, anew = [
        shlex.split(line.partition("rescli ")[2].partition(" (")[0])
        for line in answer.err.splitlines()
        if "rescli train" in line
    ]
    answer = rescli(*longer, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["iterations_done"] == 12
    assert answer.json["run_dir"] == "NEW_DIR"
    assert "goes on from my run, which stays as it is: momentum and step are kept" in answer.err
    answer = rescli(*anew[:-1], "OTHER_DIR", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["start_from"]["head"] == "kept"
    assert json.loads((tmp_path / "my run" / "record.json").read_text())["iterations_done"] == 8


def test_out_beside_resume_alone_is_refused_as_before(rescli: Rescli, tmp_path: Path) -> None:
    front_door.train(spec_of(8), out=tmp_path / "first", **OPTIONS)
    for more in ((), ("--iterations", 8)):
        answer = rescli("train", "--resume", tmp_path / "first", "--out", tmp_path / "x", *more)
        assert answer.code == 2
        assert "--out does not go with --resume" in answer.err
