import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rescli.errors import DataError, WriteError
from rescli.files import open_file, read_file, without_waiting, write_atomically, writing


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "deep" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [("CheckpointError", 4, "try again\n"), ("WriteError", 1, "try again\n")],
)
def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path, error, code, hint):
    path = tmp_path / "state"
    path.write_bytes(b"old")
    # The kernel refuses to write past 4 KiB, as a full disk does: a real failed write, in its own process.
    program = f"""
import resource, signal
from pathlib import Path
from rescli.errors import {error}, RescliError
from rescli.files import open_file, read_file, without_waiting, write_atomically, writing
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomically(Path({str(path)!r}), b"x" * 100_000, error={error})
except RescliError as error:
    print(error.exit_code, error, error.hint)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        f"{code} cannot write {path}: File too large; what was saved before is untouched."
    )
    assert "make room for 0.1 MB" in done.stdout
    assert done.stdout.endswith(hint if hint.endswith("\n") else f"{hint}\n")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state"]


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for endless in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/full")):
        with pytest.raises(OSError, match="a pipe or a device"):
            read_file(endless)
        with pytest.raises(OSError, match="a pipe or a device"):
            open_file(endless)
    (tmp_path / "long").write_bytes(bytes(10))
    with pytest.raises(OSError, match="no more than"):
        read_file(tmp_path / "long", most=9)
    assert read_file(tmp_path / "long", most=10) == bytes(10)


def test_what_a_killed_process_left_is_removed_by_the_next_write_of_that_name(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    program = """
import os, signal, sys, time
from pathlib import Path
from rescli import files
files.os.replace = lambda *_: (print("half", flush=True), time.sleep(600))
files.write_atomically(Path(sys.argv[1]), b"new")
"""
    of_another = tmp_path / ".sheet.png.svg.12ab34cd.tmp"
    of_another.touch()
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            write_atomically(path, b"mine")  # it is alive
            assert len(os.listdir(tmp_path)) == 3
        finally:
            process.kill()
    write_atomically(path, b"mine")
    assert sorted(os.listdir(tmp_path)) == [of_another.name, "sheet.png"]


def test_what_the_disk_does_not_let_go_of_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        for name in ("fsync", "unlink"):
            patched.setattr(os, name, refused)
        with pytest.raises(WriteError) as raised:
            write_atomically(tmp_path / "table", b"x")
        (left,) = tmp_path.iterdir()
    assert f"{left} cannot be removed now; whoever writes it next does so." in str(raised.value)
    write_atomically(tmp_path / "table", b"x")
    assert os.listdir(tmp_path) == ["table"]


def test_the_error_stands_though_the_working_directory_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    with pytest.raises(WriteError, match=r"cannot write record\.json: No such file or directory"):
        write_atomically(Path("record.json"), b"{}")


def raises(reason: OSError, out: Path, reads: Path) -> None:
    with writing(out, left="nothing was left", reads=[reads]):
        raise reason


def test_what_cannot_be_read_is_not_said_to_be_unwritable(tmp_path: Path) -> None:
    unread = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "photos/a.jpg"))
    with pytest.raises(DataError, match=r"a\.jpg cannot be read: Permission denied; nothing was left"):
        raises(unread, tmp_path / "packed", tmp_path / "photos")


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (errno.EACCES, ("packed",)),
        (errno.EACCES, ("packed/train.images",)),
        (errno.EACCES, (".packed.x1.tmp/train.images",)),
        (errno.EACCES, ("photos/a.jpg", None, ".packed.x1.tmp/a.jpg")),  # a copy
        (errno.EACCES, (".",)),
        (errno.ENOSPC, ("photos/a.jpg",)),
    ],
)
def test_what_cannot_be_written_is(tmp_path: Path, code: int, names: tuple[str | None, ...]) -> None:
    reason = OSError(code, "refused", *[None if name is None else str(tmp_path / name) for name in names])
    with pytest.raises(WriteError, match="cannot write"):
        raises(reason, tmp_path / "packed", tmp_path / "photos")


def test_a_file_that_is_appended_to_is_no_program(tmp_path: Path) -> None:
    with open(tmp_path / "log", "ab", opener=without_waiting) as file:
        file.write(b"row")
    assert not os.stat(tmp_path / "log").st_mode & 0o111
