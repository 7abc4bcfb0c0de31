"""``rescli train --nproc 2``: real processes, one of them killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rescli.data.folders.specs import ImageFolderSpec
from rescli.runs.directory import RunDir
from rescli.spec.load import spec_from_dict

Start = Callable[..., subprocess.Popen[str]]
Rescli = Callable[..., Any]


def flags(out: Path, iterations: int) -> list[object]:
    return [
        *("train", "shapes/base", "--model", "resnet-8", "--iterations", iterations, "--batch-size", 16),
        *("--device", "cpu", "--precision", "fp32", "--set", "data.dataset.num_train=200"),
        *("--set", "data.dataset.num_val=51", "--set", "evaluation.every=50", "--set", "checkpoint.every=10"),
        *("--set", "metrics.every=5", "--nproc", 2, "--out", out),
    ]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 90
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def ranks_below(process: subprocess.Popen[str]) -> Iterator[int]:
    """The training processes: children of the launcher, which is a child of ours."""
    for launcher in _children(process.pid):
        yield from _children(launcher)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def photo_flags(root: Path, out: Path) -> list[object]:
    return [
        *("train", "imagefolder/32", "--data-root", root, "--set", "model.depth=8", "--device", "cpu"),
        *("--set", "model.width=4", "--iterations", 2, "--batch-size", 4, "--workers", 0, "--out", out),
    ]


@pytest.fixture
def photos(tmp_path: Path, write_noise: Callable[..., None]) -> Path:
    for seed, name in enumerate(("ant", "bee")):
        write_noise(tmp_path / "photos/train" / name, 6, seed)
        write_noise(tmp_path / "photos/val" / name, 2, seed)
    return tmp_path / "photos"


def test_two_processes_train_one_network_and_speak_once(
    start_rescli: Start, photos: Path, tmp_path: Path
) -> None:
    next((photos / "val/bee").iterdir()).unlink()
    process = start_rescli(*photo_flags(photos, tmp_path / "run"), "--nproc", 2, "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    for said in ("photographs in", "preset imagefolder/32", "note: the validation part", "run directory"):
        assert err.count(said) == 1, err
    record = json.loads(out)  # printed once
    assert record["ranks"] == 2
    assert record["iterations_done"] == 2
    assert record["results"]["val"]["num_images"] == 3  # odd: each is counted once


def test_what_the_command_found_is_handed_on(
    rescli: Rescli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = tmp_path / "outcome"
    spec = rescli("train", *photo_flags(photos, tmp_path / "run")[1:], "--dry-run", "--json").json["spec"]
    outcome.with_name("spec.json").write_text(json.dumps(spec))
    monkeypatch.setenv("RESCLI_OUTCOME", str(outcome))

    def look(*_: object) -> None:
        raise AssertionError("a process looked at the folder again")

    monkeypatch.setattr(ImageFolderSpec, "surveyed", look)
    answer = rescli(*photo_flags(photos, tmp_path / "run"))
    assert answer.code == 0, answer.err
    assert "photographs in" not in answer.err
    assert "preset" not in answer.err
    assert RunDir.open(tmp_path / "run").read_spec() == spec_from_dict(spec)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to find the processes")
def test_under_nohup_a_hang_up_stops_nobody_and_a_killed_process_is_made_good(
    start_interpreter: Start, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = start_interpreter(
        *flags(run, 100), preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    wait_for(run / "state" / "latest.json", process)
    ranks = sorted(ranks_below(process))
    for pid in (process.pid, *_children(process.pid), *ranks):
        os.kill(pid, signal.SIGHUP)
    os.kill(ranks[-1], signal.SIGKILL)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    (lost,) = [line for line in err.splitlines() if "SIGKILL" in line]
    assert re.fullmatch(
        r"warning: process 1 of 2 was ended by SIGKILL, as happens where memory runs out; "
        r"all are begun anew; the state of iteration \d+ is saved\.",
        lost,
    )
    for of_torch in ("gloo", "torch", "Traceback", "SIGHUP", "SIGTERM", "error:"):
        assert of_torch not in err, err
    record = json.loads((run / "record.json").read_text())
    assert (record["status"], record["iterations_done"]) == ("finished", 100)
    assert len(record["resumed_at"]) == 1
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows if row["event"] == "train"] == list(range(5, 101, 5))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_an_interrupted_one_is_resumed(start_rescli: Start, tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "run"
    process = start_rescli(*flags(run, 3000))
    wait_for(run / "state" / "latest.json", process)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    record = json.loads((run / "record.json").read_text())
    assert record["status"] == "interrupted"
    assert record["iterations_done"] < 3000


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to find the processes")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_command_alone_stops_all_and_leaves_none(
    start_rescli: Start, tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    process = start_rescli(*flags(run, 3000))
    wait_for(run / "state" / "latest.json", process)
    launcher = _children(process.pid)
    ranks = list(ranks_below(process))
    assert len(launcher) == 1
    assert len(ranks) >= 2  # and one that minds what they share, where they are not forked
    process.send_signal(number)
    _, err = process.communicate(timeout=120)  # all of them hold the pipe
    until = time.monotonic() + 10
    while any(_lives(pid) for pid in launcher + ranks):
        assert time.monotonic() < until
        time.sleep(0.05)
    killed = number == signal.SIGKILL
    assert process.returncode == (-signal.SIGKILL if killed else 130), err
    assert json.loads((run / "record.json").read_text())["status"] == "interrupted"
    # Said once, and nothing of torch's launcher beside it.
    assert err.count("preset shapes/base") == 1
    name = "SIGTERM" if killed else number.name
    first, second, third = err.splitlines()[-3:]
    assert first.startswith(f"{name}: stopping as soon as the state is saved")
    assert second.startswith("stopped after iteration ")
    assert third == f"  try: rescli train --resume {run} --nproc 2"
    assert err.count("stopped after") == 1
    assert "Traceback" not in err
    assert "torch" not in err


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["--batch-size", 17], "cannot be shared evenly by 2"),
        (["--budget", "1m"], "with --nproc, give --iterations"),
        (["--nproc", 0], "--nproc"),
    ],
)
def test_what_cannot_work_is_exit_2_and_leaves_nothing(
    start_rescli: Start, tmp_path: Path, change: list[object], says: str
) -> None:
    process = start_rescli(*flags(tmp_path / "run", 20), *change)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, ""), err
    assert says in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_an_environment_of_nonsense_is_refused_by_what_trains_alone(
    rescli: Rescli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "abc")
    answer = rescli("train", *tiny, "--out", tmp_path / "run")
    assert answer.code == 2
    assert "the environment variable WORLD_SIZE is 'abc'" in answer.err
    assert not (tmp_path / "run").exists()
    assert rescli("models").code == 0
    assert rescli("show", "nothing").code == 4
    monkeypatch.setenv("WORLD_SIZE", "")
    assert rescli("train", *tiny, "--out", tmp_path / "run", "-q").code == 0


def test_several_runs_are_no_work_for_a_launcher(
    rescli: Rescli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would wait for processes that do not come, or train everything twice."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    answer = rescli("compare", "plain-8", "resnet-8", "--dataset", "shapes", "--iterations", 2)
    assert answer.code == 2
    assert "WORLD_SIZE=2 says that there are others" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_copies_that_slurm_began_do_not_train_side_by_side_in_silence(
    rescli: Rescli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    codes = {}
    for number in ("0", "1"):
        monkeypatch.setenv("SLURM_PROCID", number)
        answer = rescli("train", *tiny, "-q")
        codes[number] = answer.code
        assert f"SLURM began this command 2 times (SLURM_PROCID={number}, SLURM_NTASKS=2)" in answer.err
        assert "--nproc" in answer.err
        assert "torchrun" in answer.err
    assert codes == {"0": 0, "1": 2}
    assert len(list((tmp_path / "runs").iterdir())) == 1
    answer = rescli("train", *tiny, "-q", "--out", "own")  # meant to be a run of its own
    assert answer.code == 0
    assert "SLURM began this command" in answer.err
