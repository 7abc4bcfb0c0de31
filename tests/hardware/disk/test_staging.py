"""What a killed process left beside its place is removed by the next one, and nobody else's."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rescli.hardware.disk import file_lock
from rescli.hardware.disk.staging import staged_beside

_MAKE = """
import sys, time
from pathlib import Path
from rescli.hardware.disk.staging import staged_beside
with staged_beside(Path(sys.argv[1])) as folder:
    (folder / "part").write_text("half")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that makes the same, and its folder."""
    command = [sys.executable, "-c", _MAKE, str(tmp_path / "pack")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_of_the_dead_and_not_of_the_living(
    at_work: tuple[subprocess.Popen[str], Path], tmp_path: Path
) -> None:
    process, theirs = at_work
    for name in (".pack.onnx.rescli-12ab34cd.tmp", ".packed.rescli-12ab34cd.tmp"):  # of another out
        (tmp_path / name).mkdir()
    with staged_beside(tmp_path / "pack") as ours:
        assert (theirs / "part").is_file()
        assert ours.parent == tmp_path
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert theirs.is_dir()
    with staged_beside(tmp_path / "pack") as ours:
        assert not theirs.exists()
        ours.rename(tmp_path / "pack")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".pack.onnx.rescli-12ab34cd.tmp",
        ".packed.rescli-12ab34cd.tmp",
        "pack",
    ]


@pytest.mark.parametrize("name", [".pack.mine.tmp", ".pack.12345.tmp", ".pack.12ab34cd.tmp"])
def test_what_rescli_did_not_name_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "notes.txt").write_text("precious")
    with staged_beside(tmp_path / "pack"):
        pass
    assert (tmp_path / name / "notes.txt").read_text() == "precious"


def test_where_folders_cannot_be_locked_none_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    (tmp_path / ".pack.rescli-12345678.tmp").mkdir()
    with staged_beside(tmp_path / "pack") as ours:
        assert ours.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [".pack.rescli-12345678.tmp"]


def test_what_is_made_has_the_rights_of_any_folder(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with staged_beside(tmp_path / ("n" * 250)) as ours:
        assert ours.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_does_not_hold_the_lock_of_its_parent(tmp_path: Path) -> None:
    """As the processes that decode photographs, which outlive a run that is killed by some seconds."""
    lock = tmp_path / ".lock"
    with file_lock.held_alone(lock):
        reader, writer = os.pipe()
        begun, begins = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.write(begins, b".")
            os.read(reader, 1)  # until the parent is done
            os._exit(0)
        os.read(begun, 1)
    try:
        with file_lock.held_alone(lock):  # the descriptor of the first is closed, as the kernel closes it
            pass
    finally:
        for number in (writer, reader, begun, begins):
            os.close(number)
        os.waitpid(child, 0)


def test_a_lock_that_was_moved_is_found(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    lock = tmp_path / "run" / ".lock"
    assert not file_lock.is_moved(lock)
    with file_lock.held_alone(lock):
        assert not file_lock.is_moved(lock)
        (tmp_path / "run").rename(tmp_path / "moved")
        assert file_lock.is_moved(lock)
        if Path("/proc/self/fd").is_dir():
            assert file_lock.place_of(lock) == tmp_path / "moved" / ".lock"
        (tmp_path / "moved" / ".lock").unlink()
        assert file_lock.place_of(lock) is None


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EACCES])
def test_a_file_system_that_does_not_say_has_moved_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object, **__: object) -> os.stat_result:
        raise OSError(number, os.strerror(number))

    with file_lock.held_alone(tmp_path / ".lock"), monkeypatch.context() as failing:
        failing.setattr(Path, "stat", refused)
        assert not file_lock.is_moved(tmp_path / ".lock")


def test_one_look_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with file_lock.held_alone(tmp_path / ".lock"):
        monkeypatch.setattr(file_lock, "_SECOND_LOOK_SECONDS", 0.0)
        looks = [os.stat(tmp_path)]  # another file's, the first time
        monkeypatch.setattr(Path, "stat", lambda path: looks.pop() if looks else os.stat(path))
        assert not file_lock.is_moved(tmp_path / ".lock")
