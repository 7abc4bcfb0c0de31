"""What of two runs is compared, and how the first difference is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from shape_run import CPU_FP32, begin

from rescli.errors import CheckpointError
from rescli.runs.directory import RunDir
from rescli.runs.resuming.same_end import compare_ends
from rescli.runs.saved_state import load_state, save_state


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    run_dir, _ = begin(tmp_path_factory.mktemp("same") / "whole", CPU_FP32)
    return run_dir


@pytest.fixture
def other(whole: RunDir, tmp_path: Path) -> RunDir:
    shutil.copytree(whole.path, tmp_path / "other")
    return RunDir(tmp_path / "other")


def test_a_copy_is_equal_in_everything(whole: RunDir, other: RunDir) -> None:
    compared, tensors, difference = compare_ends(whole, other)
    assert difference is None
    assert all(each.equal for each in compared)
    counts = {each.what: each.count for each in compared}
    assert counts["weights"] == counts["momentum"] == 23
    assert counts["batch-norm statistics"] == 21
    assert counts["checkpoint files"] == 2
    assert tensors == 23 + 23 + 21 + 1


@pytest.mark.parametrize(
    ("tensor", "kind", "named"),
    [
        ("model.fc.weight", "weights", "fc.weight"),
        ("optimizer.fc.weight.momentum_buffer", "momentum", "optimizer.fc.weight.momentum_buffer"),
        ("model.bn1.running_var", "batch-norm statistics", "bn1.running_var"),
    ],
)
def test_one_changed_value_is_named_with_its_size(
    whole: RunDir, other: RunDir, tensor: str, kind: str, named: str
) -> None:
    spec = other.read_spec()
    saved = load_state(other.state, spec)
    assert saved is not None
    changed = saved.tensors[tensor].clone()
    changed.view(-1)[1] += 0.25
    save_state(other.state, replace(saved, tensors={**saved.tensors, tensor: changed}), spec)
    compared, _, difference = compare_ends(whole, other)
    assert [each.what for each in compared if not each.equal] == [kind]
    assert difference is not None
    assert difference.name == named
    assert difference.largest == pytest.approx(0.25, rel=1e-3)
    assert str(difference).startswith(f"{named}, by up to 0.25")


def test_a_lost_tensor_is_a_difference(whole: RunDir, other: RunDir) -> None:
    spec = other.read_spec()
    saved = load_state(other.state, spec)
    assert saved is not None
    tensors = {name: tensor for name, tensor in saved.tensors.items() if name != "model.fc.bias"}
    save_state(other.state, replace(saved, tensors=tensors), spec)
    _, _, difference = compare_ends(whole, other)
    assert difference is not None
    assert (difference.name, difference.largest) == ("fc.bias", None)


def test_what_a_clock_says_is_no_difference_and_a_loss_is(whole: RunDir, other: RunDir) -> None:
    rows = [json.loads(line) for line in other.metrics.read_text().splitlines()]
    for row in rows:
        if "train_seconds" in row:
            row["train_seconds"] += 7
    other.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert compare_ends(whole, other)[2] is None
    rows[1]["loss"] += 0.5
    other.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    compared, _, difference = compare_ends(whole, other)
    assert [each.what for each in compared if not each.equal] == ["rows of metrics"]
    assert difference is not None
    assert difference.name.endswith(f"row of iteration {rows[1]['iteration']}: loss")
    assert difference.largest == pytest.approx(0.5)


def test_another_checkpoint_is_a_difference(whole: RunDir, other: RunDir) -> None:
    other.best.write_bytes(b"another")
    difference = compare_ends(whole, other)[2]
    assert str(difference) == "best.safetensors"


def test_without_a_state_nothing_can_be_compared(whole: RunDir, other: RunDir) -> None:
    shutil.rmtree(other.state)
    with pytest.raises(CheckpointError, match="saved no state"):
        compare_ends(whole, other)
