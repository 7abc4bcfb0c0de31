"""What was done is done, whether or not its result can be printed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rescli.cli import launch
from rescli.cli.app import main
from rescli.cli.output.streams import say_unprinted, streams_of_a_program

Rescli = Callable[..., Any]

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


StdoutTo = Callable[..., None]


@pytest.fixture
def stdout_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[StdoutTo]:
    """Makes stdout of this process a file or a descriptor, as it would be at the start of the program."""
    made: list[io.TextIOWrapper] = []
    held = ExitStack()

    def put(path: str | int, *, buffered: bool = True) -> None:
        raw = io.FileIO(path, "w")
        buffer: Any = io.BufferedWriter(raw) if buffered else raw  # as under PYTHONUNBUFFERED
        made.append(io.TextIOWrapper(buffer, "utf-8", write_through=not buffered))
        monkeypatch.setattr(sys, "stdout", made[0])
        held.enter_context(streams_of_a_program())

    with held:
        yield put
    for stream in made:
        stream.close()


@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_that_is_gone_is_no_failure(stdout_to: StdoutTo, buffered: bool) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stdout_to(writer, buffered=buffered)
    for _ in range(3):
        print("a result " * 5_000, flush=True)
    assert say_unprinted() is None


@pytest.mark.parametrize("buffered", [True, False])
def test_a_late_reader_of_a_pipe_that_does_not_block_gets_all(stdout_to: StdoutTo, buffered: bool) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    stdout_to(writer, buffered=buffered)
    read: list[bytes] = []

    def late() -> None:
        time.sleep(0.2)
        while sum(map(len, read)) < 500_000 and (part := os.read(reader, 100_000)):
            read.append(part)
        os.close(reader)

    thread = threading.Thread(target=late, daemon=True)
    thread.start()
    print("z" * 499_999, flush=True)
    assert say_unprinted() is None
    thread.join(10)
    assert len(b"".join(read)) == 500_000


@needs_full
@pytest.mark.parametrize("buffered", [True, False])
def test_what_a_full_disk_does_not_take_is_said(
    stdout_to: StdoutTo, capsys: pytest.CaptureFixture[str], buffered: bool
) -> None:
    stdout_to("/dev/full", buffered=buffered)
    print("run directory: runs/x")
    assert say_unprinted() == 1
    assert capsys.readouterr().err == (
        "error: stdout cannot be written: No space left on device; the work itself is done. Its result:\n"
        "run directory: runs/x\n"
    )
    assert say_unprinted() is None  # once


@needs_full
def test_of_much_the_beginning_is_said(stdout_to: StdoutTo, capsys: pytest.CaptureFixture[str]) -> None:
    stdout_to("/dev/full")
    print("y" * 1_000_000)
    assert say_unprinted() == 1
    err = capsys.readouterr().err
    assert "Its result (its beginning):\nyyy" in err
    assert len(err) < 20_000


@needs_full
@pytest.mark.parametrize("words", [["--version"], ["presets"], ["models", "show", "resnet-20", "--json"]])
def test_every_command_ends_with_the_code_of_a_file_that_cannot_be_written(
    rescli: Rescli, stdout_to: StdoutTo, words: list[str]
) -> None:
    stdout_to("/dev/full")
    answer = rescli(*words)
    assert answer.code == 1
    assert answer.err.startswith("error: stdout cannot be written")
    assert "Traceback" not in answer.err


@needs_full
def test_an_error_keeps_its_own_code(rescli: Rescli, stdout_to: StdoutTo, tmp_path: Path) -> None:
    stdout_to("/dev/full")
    assert rescli("show", tmp_path / "nosuch").code == 4


@needs_full
def test_one_of_several_processes_tells_the_command_and_is_not_begun_anew(
    stdout_to: StdoutTo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RESCLI_OUTCOME", str(tmp_path / "outcome"))
    stdout_to("/dev/full")
    print("run directory: runs/x")
    with pytest.raises(SystemExit) as ended:
        launch.end(0)
    assert ended.value.code == 0
    assert (tmp_path / "outcome").read_text() == "1"


def test_of_a_real_process_with_closed_and_with_broken_streams() -> None:
    command = f"{sys.executable} -m rescli presets"
    for end in ("| true", "<&- >&- 2>&-"):
        done = subprocess.run(
            ["bash", "-c", f"{command} {end}; exit ${{PIPESTATUS[0]}}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), end


def test_whoever_calls_the_program_keeps_streams_of_his_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sys.stdout, sys.stderr
    monkeypatch.setattr(sys, "argv", ["rescli", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert (sys.stdout, sys.stderr) == before
