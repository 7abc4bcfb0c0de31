"""Stopped or killed, a run goes on to the same end, to the last bit. On shapes tests/faults kills."""

import json
import os
import random
import signal
import time

import pytest
from safetensors.torch import load_file

WALL_CLOCK = ("images_per_second", "train_seconds", "waited_seconds")
ITERATIONS = 40


def metrics_without_clock(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in WALL_CLOCK} for row in rows]


def saved_state(run):
    pointer = json.loads((run / "state" / "latest.json").read_text())
    return load_file(run / "state" / pointer["file"])


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def assert_same_tensors(one, other):
    assert one.keys() == other.keys()
    different = [name for name in one if one[name].numpy().tobytes() != other[name].numpy().tobytes()]
    assert not different


def assert_same_end(whole, other):
    assert_same_tensors(saved_state(whole), saved_state(other))
    for name in ("last", "best"):
        paths = [run / "checkpoints" / f"{name}.safetensors" for run in (whole, other)]
        assert paths[0].read_bytes() == paths[1].read_bytes(), name
    assert metrics_without_clock(whole) == metrics_without_clock(other)
    records = [json.loads((run / "record.json").read_text()) for run in (whole, other)]
    assert records[0]["results"] == records[1]["results"]
    assert records[1]["status"] == "finished"
    assert any(name.startswith("optimizer.") for name in saved_state(other))


def kill_at_random_moments(start_rescli, run, begin, moments):
    """Start, and kill as soon as ``metrics.jsonl`` has so many lines and a little more time has passed."""
    resume = ["train", "--resume", run]
    for number, (num_lines, wait) in enumerate(moments):
        process = start_rescli(*(begin if number == 0 else resume))
        while lines(run / "metrics.jsonl") < num_lines:
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
        process.communicate()
    process = start_rescli(*resume)
    _, err = process.communicate()
    assert process.returncode == 0, err


def check(rescli, start_rescli, tmp_path, flags):
    # Two starts of auto precision may decide otherwise on a busy machine.
    flags = [*flags, "--iterations", ITERATIONS, "--device", "cpu", "--precision", "fp32", "--seed", 5]
    flags += ["--set", "checkpoint.every=7", "--set", "evaluation.every=15", "--set", "metrics.every=2"]
    answer = rescli("train", *flags, "--out", tmp_path / "whole")
    assert answer.code == 0, answer.err

    dice = random.Random(os.urandom(8))  # other moments every time: none may matter
    total = lines(tmp_path / "whole" / "metrics.jsonl")
    moments = [(rows, dice.uniform(0, 0.3)) for rows in sorted(dice.sample(range(1, total - 4), 3))]
    print("killed at", moments)
    begin = ["train", *flags, "--out", tmp_path / "killed"]
    kill_at_random_moments(start_rescli, tmp_path / "killed", begin, moments)
    assert_same_end(tmp_path / "whole", tmp_path / "killed")


def test_stopped_within_evaluations_a_run_leaves_them_and_ends_the_same(rescli, start_rescli, tmp_path):
    flags = ["shapes/base", "--model", "resnet-8", "--iterations", 10, "--batch-size", 16]
    # Two starts of auto precision may decide otherwise.
    flags += ["--device", "cpu", "--precision", "fp32"]
    flags += ["--set", "data.dataset.num_train=100", "--set", "data.dataset.num_val=1000"]
    flags += ["--set", "checkpoint.every=1000", "--set", "evaluation.every=5", "--set", "metrics.every=5"]
    whole, run = tmp_path / "whole", tmp_path / "run"
    answer = rescli("train", *flags, "--out", whole)
    assert [row["event"] for row in metrics_without_clock(whole)] == ["train", "val"] * 2, answer.err

    arguments = [*flags, "--out", run]
    for step in (5, 10):
        process = start_rescli("train", *arguments)
        while lines(run / "metrics.jsonl") < (1 if step == 5 else 3):  # the row before the evaluation
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert process.returncode == 130, err
        assert err.count("SIGINT: stopping as soon as the state is saved") == 1
        assert f"stopped after iteration {step} of 10; the state is saved" in err
        rows = [(row["event"], row["iteration"]) for row in metrics_without_clock(run)]
        assert rows == [("train", 5), ("val", 5), ("train", 10)][: 1 if step == 5 else 3]
        arguments = ["--resume", run]
    process = start_rescli("train", *arguments)
    _, err = process.communicate()
    assert "resuming at iteration 10 of 10" in err
    assert process.returncode == 0, err
    assert_same_end(whole, run)


@pytest.mark.realdata
def test_killed_three_times_a_run_on_cifar10_ends_the_same(rescli, start_rescli, tmp_path, cifar_root):
    sizes = ["--batch-size", 32, "--set", "data.dataset.val_size=200"]
    check(rescli, start_rescli, tmp_path, ["cifar10/resnet-20", "--data-root", cifar_root, *sizes])
