"""The process that begins those that train together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rescli.hardware import elastic

CHECKOUT = Path(__file__).resolve().parents[2]


def test_a_command_that_was_killed_before_it_said_what_to_train_leaves_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "rescli-launch-x"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "rescli.hardware.elastic", "2", "rescli"],
        stdin=subprocess.DEVNULL,
        cwd=CHECKOUT,
        env={**os.environ, elastic.OUTCOME: str(folder / "outcome")},
    )
    assert done.returncode == 0
    assert not folder.exists()


class Process:
    def __init__(self, *codes: int | None) -> None:
        self._codes, self.killed = list(codes), False

    @property
    def exitcode(self) -> int | None:
        return self._codes.pop(0) if len(self._codes) > 1 else self._codes[0]

    def kill(self) -> None:
        self.killed = self._codes[0] is None


def let_end(*processes: Process) -> Sequence[bool]:
    elastic._let_end(processes)  # type: ignore[arg-type]
    return [process.killed for process in processes]


def test_once_one_is_lost_the_others_may_end_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("rescli.hardware.elastic.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("rescli.hardware.elastic.time.sleep", lambda _seconds: None)
    assert let_end(Process(-9), Process(None, None, 0)) == [False, False]
    assert let_end(Process(-9), Process(None)) == [False, True]


def test_where_nothing_was_begun_there_are_no_processes() -> None:
    for context in (None, SimpleNamespace(_pc=None)):
        agent: Any = SimpleNamespace(_pcontext=context)
        assert list(elastic._processes(agent)) == []
