"""A signal reaches the processes that train, or ends them; it never leaves them alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from launchers import silent_launcher

from rescli.cli.train import processes
from rescli.cli.train.passed_signals import noting_signals
from rescli.cli.train.processes import Launcher
from rescli.errors import Interrupted

SLEEPS = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


def test_each_is_written_once_where_the_processes_look(tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    with noting_signals() as signals:
        signals.pass_on(stop)
        assert not stop.exists()
        os.kill(os.getpid(), signal.SIGTERM)
        signals.pass_on(stop)
        assert stop.read_text() == "SIGTERM 1"
        stop.unlink()
        signals.pass_on(stop)
        assert not stop.exists()
        os.kill(os.getpid(), signal.SIGINT)
        signals.pass_on(stop)
        assert stop.read_text() == "SIGINT 2"
    assert (signals.first, signals.again) == ("SIGTERM", None)


def test_where_no_file_can_be_written_the_processes_get_the_signal(tmp_path: Path) -> None:
    (tmp_path / "stop.new").mkdir()  # nothing can be written in its place
    with subprocess.Popen(SLEEPS) as process, noting_signals() as signals:
        (tmp_path / "listens-0").write_text(str(process.pid))
        (tmp_path / "listens-1").write_text("")
        os.kill(os.getpid(), signal.SIGTERM)
        signals.pass_on(tmp_path / "stop")
        assert process.wait(timeout=10) == -signal.SIGTERM


def test_without_the_folder_the_launcher_ends_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sent: list[int] = []
    monkeypatch.setattr(subprocess, "Popen", silent_launcher(sent))
    launcher = Launcher(2)
    launcher._outcome.parent.rmdir()
    with pytest.raises(Interrupted, match=r"^SIGTERM: stopped before the processes began; no state"):
        launcher.run([], tmp_path)
    assert sent == [processes.END_NOW]
