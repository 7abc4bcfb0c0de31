"""What the command and the processes that train for it say to each other, and of one that is lost."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from launchers import silent_launcher

from rescli.cli import launch
from rescli.cli.remedies import as_flag
from rescli.cli.train import processes
from rescli.cli.train.processes import Launcher
from rescli.errors import Interrupted, LostRankError, RescliError
from rescli.hardware import elastic


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
    (tmp_path / "record.json").write_text('{"results": {}, "last_saved_iteration": 7}')
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


def test_an_answer_of_the_process_before_it_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All were begun anew, and the one of that number hangs now."""
    monkeypatch.setenv("RESCLI_OUTCOME", str(tmp_path / "outcome"))
    monkeypatch.setenv("RANK", "1")
    (tmp_path / "heard-1").touch()
    with launch.hearing_the_command():
        assert [path.name for path in tmp_path.iterdir()] == ["listens-1"]


def test_a_process_that_does_not_answer_a_signal_ends_them_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As one that was stopped, or hangs on a disk: the other waits for it where no signal is heard."""
    sent: list[int] = []

    def one_answers(env: Mapping[str, str]) -> None:
        for name in ("listens-0", "listens-1", "heard-1"):
            Path(env["RESCLI_OUTCOME"]).with_name(name).touch()

    (tmp_path / "record.json").write_text('{"results": {}, "last_saved_iteration": 40}')
    monkeypatch.setattr(subprocess, "Popen", silent_launcher(sent, one_answers))
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
