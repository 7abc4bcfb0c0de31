"""``rescli train --nproc 2``: real processes, one of them killed."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rescli.cli import launch
from rescli.cli.remedies import as_flag
from rescli.cli.train import processes
from rescli.cli.train.processes import Launcher
from rescli.data.folders.specs import ImageFolderSpec
from rescli.errors import Interrupted, LostRankError, RescliError
from rescli.hardware import elastic
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


def _killed_launcher(monkeypatch: pytest.MonkeyPatch, code: int = -signal.SIGKILL) -> None:
    class Killed:
        stdin = io.BytesIO()

        def __init__(self, *_: object, **__: object) -> None: ...

        def kill(self) -> None: ...

        def wait(self, timeout: float) -> int:
            return code

    monkeypatch.setattr(subprocess, "Popen", Killed)


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (-signal.SIGKILL, "was ended by SIGKILL, as happens where memory runs out"),
        (1, "ended with exit code 1"),
    ],
)
def test_a_launcher_that_was_lost_is_an_error_and_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, how: str
) -> None:
    _killed_launcher(monkeypatch, code)
    (tmp_path / "record.json").write_text('{"last_saved_iteration": 7}')
    with pytest.raises(LostRankError) as lost:
        Launcher(2).run([], tmp_path)
    assert lost.value.exit_code == 1
    assert str(lost.value) == f"the launcher of the 2 processes {how}; the state of iteration 7 is saved."
    assert [as_flag(remedy) for remedy in lost.value.remedies] == [
        f"rescli train --resume {tmp_path} --nproc 2"
    ]


def test_processes_that_saved_once_their_launcher_was_killed_decide_the_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _killed_launcher(monkeypatch)
    launcher = Launcher(2)
    launcher._beside("outcome").write_text("130")
    with pytest.raises(SystemExit) as ended:
        launcher.run([], tmp_path)
    assert ended.value.code == 130
    assert "warning: the launcher was ended by SIGKILL" in capsys.readouterr().err


def test_what_a_lost_launcher_left_at_work_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deaf = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    _killed_launcher(monkeypatch)
    monkeypatch.setattr(processes, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(processes, "LEAVING_SECONDS", 0.3)
    launcher = Launcher(2)
    launcher._beside("listens-0").write_text(str(deaf.pid))
    with pytest.raises(LostRankError):
        launcher.run([], tmp_path)
    assert deaf.wait(timeout=10) == -signal.SIGKILL


def test_a_stop_of_which_the_first_process_never_spoke_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It waited for another, which had seen the signal before they trained."""
    _killed_launcher(monkeypatch)
    launcher = Launcher(2)
    monkeypatch.setenv("RESCLI_OUTCOME", str(launcher._beside("outcome")))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert launch.report_outcome(Interrupted("SIGINT before the first iteration.", clean=True))
    with pytest.raises(Interrupted) as stopped:
        launcher.run([], tmp_path)
    assert str(stopped.value) == "stopped: not all processes had begun; no state was saved yet."
    monkeypatch.setenv("RANK", "0")
    assert launch.report_outcome(Interrupted("stopped.", clean=True))
    monkeypatch.setenv("RANK", "1")
    assert launch.report_outcome(Interrupted("stopped.", clean=True))
    assert launcher._said() == "130"


def test_a_command_that_is_gone_is_told_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RESCLI_OUTCOME", str(tmp_path / "gone" / "outcome"))
    assert not launch.report_outcome(Interrupted("stopped.", clean=True))


def test_an_empty_word_of_the_command_is_not_heard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a file is that was made, and not yet written."""
    monkeypatch.setenv("RESCLI_OUTCOME", str(tmp_path / "outcome"))
    monkeypatch.setattr(launch, "_LOOK_SECONDS", 0.01)
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    try:
        with launch.hearing_the_command():
            (tmp_path / "stop").write_text("")
            time.sleep(0.1)
            assert heard == []
            (tmp_path / "stop").write_text("SIGTERM 1")
            until = time.monotonic() + 10
            while not heard and time.monotonic() < until:
                time.sleep(0.01)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


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


def test_an_answer_of_the_process_before_it_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All were begun anew, and the one of that number hangs now."""
    monkeypatch.setenv("RESCLI_OUTCOME", str(tmp_path / "outcome"))
    monkeypatch.setenv("RANK", "1")
    (tmp_path / "heard-1").touch()
    with launch.hearing_the_command():
        assert [path.name for path in tmp_path.iterdir()] == ["listens-1"]


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


def test_a_process_that_does_not_answer_a_signal_ends_them_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As one that was stopped, or hangs on a disk: the other waits for it where no signal is heard."""
    sent: list[int] = []

    class Hanging:
        stdin = io.BytesIO()

        def __init__(self, *_: object, env: dict[str, str], **__: object) -> None:
            for name in ("listens-0", "listens-1", "heard-1"):
                Path(env["RESCLI_OUTCOME"]).with_name(name).touch()

        def wait(self, timeout: float | None = None) -> int:
            if not sent and timeout is not None:
                os.kill(os.getpid(), signal.SIGTERM)
                raise subprocess.TimeoutExpired("launcher", timeout)
            return 1

        def kill(self) -> None: ...

        def send_signal(self, number: int) -> None:
            sent.append(number)

    (tmp_path / "record.json").write_text('{"last_saved_iteration": 40}')
    monkeypatch.setattr(subprocess, "Popen", Hanging)
    monkeypatch.setattr(processes, "_HEARING_SECONDS", 0.0)
    with pytest.raises(
        Interrupted, match=r"process 0 of 2 did not answer within .* of iteration 40"
    ) as caught:
        Launcher(2).run([], tmp_path)
    assert sent == [processes.END_NOW]
    assert [as_flag(one) for one in caught.value.remedies] == [f"rescli train --resume {tmp_path} --nproc 2"]


def test_why_processes_cannot_be_begun_is_told_to_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under ``ulimit -n``."""

    class Agent:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def run(self) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setenv(elastic.OUTCOME, str(tmp_path / "outcome"))
    monkeypatch.setenv("TORCHELASTIC_SIGNALS_TO_HANDLE", "")
    monkeypatch.setattr(elastic, "_agent_type", lambda: Agent)
    monkeypatch.setattr(elastic, "_end", lambda _: sys.exit(1))
    before = signal.getsignal(elastic.END_NOW)
    try:
        with pytest.raises(SystemExit):
            elastic._launch(2, "rescli", [], [])
    finally:
        signal.signal(elastic.END_NOW, before)
    assert (tmp_path / elastic.UNBEGUN).read_text() == "Too many open files"


def test_the_command_says_that_processes_cannot_be_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes.subprocess, "Popen", _NoProcess)
    launcher = Launcher(2)
    launcher._beside(elastic.UNBEGUN).write_text("Too many open files")
    with pytest.raises(RescliError, match="2 processes cannot be begun: Too many open files"):
        launcher.run(["train"], tmp_path / "run")


class _NoProcess:
    """A launcher that ended at once."""

    def __init__(self, *_: object, **__: object) -> None:
        self.stdin = io.BytesIO()

    def wait(self, timeout: float | None = None) -> int:
        return 1

    def kill(self) -> None:
        pass

    def communicate(self) -> tuple[None, None]:
        return None, None
