"""What is no error is not called one, and what the library warns of is said once."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescli.cli import app as app_module
from rescli.errors import Interrupted, UsageError
from rescli.remedy import Remedy

Rescli = Callable[..., Any]


def _make_it(work: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "build_app", lambda: work)


def _raising(error: BaseException) -> Callable[[], None]:
    def run() -> None:
        raise error

    return run


def test_a_clean_stop_is_no_error(rescli: Rescli, monkeypatch: pytest.MonkeyPatch) -> None:
    remedy = Remedy("resume", "runs/x")
    stopped = Interrupted("stopped after iteration 5 of 12; the state is saved.", remedy=remedy, clean=True)
    _make_it(_raising(stopped), monkeypatch)
    answer = rescli("train")
    assert answer.code == 130
    assert answer.err == (
        "stopped after iteration 5 of 12; the state is saved.\n  try: rescli train --resume runs/x\n"
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.\n frame 1"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_a_machine_without_memory_is_no_bad_usage(
    rescli: Rescli, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    _make_it(_raising(error), monkeypatch)
    answer = rescli("train")
    assert answer.code == 1
    assert answer.err.startswith("error: ")
    assert "memory" in answer.err
    assert "frame" not in answer.err
    _make_it(_raising(RuntimeError("a mistake of ours")), monkeypatch)
    with pytest.raises(RuntimeError):  # whose traceback is wanted
        rescli("train")


def test_settings_that_a_message_names_are_flags(rescli: Rescli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Remedy("engine", "graph")
    error = UsageError(f"{asked} does not work here.", given=asked, remedy=Remedy("engine", "eager"))
    assert str(error) == 'engine="graph" does not work here.'
    _make_it(_raising(error), monkeypatch)
    assert rescli("train").err == "error: --engine graph does not work here.\n  --engine eager\n"


def test_a_warning_of_the_library_is_one_line_and_quiet_hides_none(
    rescli: Rescli, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make_it(lambda: logging.getLogger("rescli.runs.saver").warning("%s is odd", "this"), monkeypatch)
    for _ in range(2):  # the handler goes with the command
        assert rescli("train", "--quiet").err == "warning: this is odd\n"
    assert logging.getLogger("rescli").handlers == []


def test_a_variable_that_torch_refuses_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rescli", "models", "show", "resnet-8", "--json"],
        env={**os.environ, "TORCH_LOGS": "nonsense", "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "error: torch cannot be imported" in done.stderr
