import errno
import fcntl
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from threading import Barrier

import pytest

from rescli.errors import CheckpointError, RunDirError
from rescli.hardware.disk import file_lock
from rescli.hardware.disk.staging import staged_beside, staged_file
from rescli.runs.directory import RunDir, default_run_path, noted_data_root
from rescli.spec.load import load_spec


def begin(path):
    with RunDir.create(path) as run_dir:
        run_dir.write_spec(load_spec("quickstart"))
    return run_dir


def test_the_spec_comes_back_as_it_was(tmp_path):
    spec = load_spec("he2015/resnet-110", [("seed", 3)])
    with RunDir.create(tmp_path / "run") as run_dir:
        run_dir.write_spec(spec)
    assert RunDir.open(tmp_path / "run").read_spec() == spec


def test_a_directory_with_anything_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunDirError, match=r"is not empty: it holds thesis\.tex"), RunDir.create(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] in (["thesis.tex"], [".lock", "thesis.tex"])


def test_a_run_is_not_overwritten(tmp_path):
    begin(tmp_path)
    with pytest.raises(RunDirError, match="holds a run already") as caught, RunDir.create(tmp_path):
        pass
    assert [remedy.setting for remedy in caught.value.remedies] == ["resume", "out"]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunDirError, match="cannot write the run directory"):
        begin(tmp_path / "file" / "run")


@pytest.mark.parametrize(("make", "says"), [(True, "holds no run"), (False, "does not exist")])
def test_opening_what_is_no_run(tmp_path, make, says):
    if make:
        (tmp_path / "run").mkdir()
    with pytest.raises(RunDirError, match=says):
        RunDir.open(tmp_path / "run")


def test_the_lock_keeps_a_second_writer_out_and_ends_with_the_block(tmp_path):
    with RunDir.create(tmp_path):
        for second in (RunDir(tmp_path).locked(), RunDir.create(tmp_path)):
            with pytest.raises(RunDirError, match=r"is in use by process \d+"), second:
                pass
    with RunDir(tmp_path).locked():
        pass


def test_a_run_that_began_while_another_waited_is_seen(tmp_path):
    # Both saw an empty directory; what counts is what the second one sees once it holds the lock.
    second = RunDir.create(tmp_path)
    begin(tmp_path)
    with pytest.raises(RunDirError, match="holds a run already"), second:
        pass


@pytest.mark.parametrize("locks", [True, False])
def test_what_a_killed_writer_left_is_swept_up(tmp_path, monkeypatch, locks):
    begin(tmp_path)
    (tmp_path / "state").mkdir()
    for name in (f".latest.json.{os.getpid()}.tmp", ".000012-a.safetensors.rescli-12ab34cd.tmp"):
        (tmp_path / "state" / name).touch()
    (tmp_path / ".record.json.99999999.tmp").touch()
    if locks:
        (tmp_path / ".record.json.rescli-12ab34cd.tmp").touch()
    else:
        monkeypatch.setattr(fcntl, "flock", refuse_locks)
    with RunDir(tmp_path).locked():
        assert not list(tmp_path.rglob("*.tmp"))


def refuse_locks(*_):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_what_others_have_in_the_run_stays(tmp_path):
    begin(tmp_path)
    for name in (".mine.tmp", "state/.mine.123.tmp", ".onnx.rescli-12ab34cd.tmp"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "notes.txt").write_text("precious")
        (tmp_path / name / ".notes.txt.123.tmp").touch()
    at_work = tmp_path / f".table.csv.{os.getpid()}.tmp"
    at_work.touch()
    with staged_beside(tmp_path / "onnx") as export, staged_file(tmp_path / "table.csv") as (table, _):
        before = sorted(tmp_path.rglob("*.tmp"))
        with RunDir(tmp_path).locked():
            assert sorted(tmp_path.rglob("*.tmp")) == before
            assert export.is_dir()
            assert table.is_file()


def test_discard_takes_back_only_what_rescli_put_there(tmp_path):
    with RunDir.create(tmp_path / "mine") as mine:
        mine.write_spec(load_spec("quickstart"), tmp_path)
        mine.discard()
    assert not mine.path.exists()
    with RunDir.create(tmp_path / "shared") as shared:
        (shared.path / "notes.txt").touch()
        shared.discard()
    assert [path.name for path in shared.path.iterdir()] == ["notes.txt"]


def test_where_the_images_lie_is_kept_with_the_spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    run_dir = begin(tmp_path / "run")
    assert run_dir.read_data_root() is None
    for given, kept in (("photos", tmp_path / "photos"), ("~/data", tmp_path / "home" / "data")):
        run_dir.keep_data_root(Path(given))
        assert run_dir.read_data_root() == kept
    run_dir.keep_data_root(None)
    assert run_dir.read_data_root() == tmp_path / "home" / "data"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"data_root": 3}', '{"data_root": ""}'])
def test_where_the_images_lie_is_asked_for_where_it_is_damaged(tmp_path, content):
    run_dir = begin(tmp_path)
    run_dir.keep_data_root(tmp_path)
    run_dir.data_root.write_text(content)
    with pytest.raises(CheckpointError, match=r"data_root\.json is damaged") as caught:
        run_dir.read_data_root()
    assert [remedy.setting for remedy in caught.value.remedies] == ["data_root"]


def test_a_start_that_was_killed_before_its_spec_was_written_is_no_run(tmp_path):
    (tmp_path / "state").mkdir()
    RunDir(tmp_path).keep_data_root(tmp_path / "photos")
    run_dir = begin(tmp_path)
    assert run_dir.read_data_root() is None
    (tmp_path / "other" / "state").mkdir(parents=True)
    with pytest.raises(RunDirError, match="is not empty: it holds state"):
        begin(tmp_path / "other")


def test_default_names_sort_by_what_and_when_and_never_collide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    when, spec = datetime(2026, 1, 2, 3, 4, 5), load_spec("cifar10/resnet-20")
    base = default_run_path(spec, when)
    assert str(base) == "runs/cifar10-resnet-20-seed0-20260102-030405"
    names = [RunDir.reserve(base).path.name for _ in range(3)]
    assert names == [base.name, f"{base.name}-2", f"{base.name}-3"]


def test_seven_begun_in_one_second_have_seven_directories(tmp_path):
    spec = load_spec("quickstart")
    together = Barrier(7)

    def start(_number):
        together.wait()
        with RunDir.create(tmp_path / "runs" / "one", numbered=True) as run_dir:
            run_dir.write_spec(spec)
            together.wait()
        return run_dir.path.name

    with ThreadPoolExecutor(7) as pool:
        names = set(pool.map(start, range(7)))
    assert names == {"one", *(f"one-{number}" for number in range(2, 8))}


def test_starts_that_fail_beside_others_that_do_not_disturb_nobody(tmp_path):
    """Each failing one takes back ``runs`` where it is empty, in the very moment in which others need it."""

    def start(number):
        for _ in range(20):
            with RunDir.create(tmp_path / "runs" / f"{number}", numbered=True) as run_dir:
                run_dir.discard()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))
    assert [entry.name for entry in tmp_path.rglob("*")] in ([], ["runs"])


def test_a_start_that_fails_leaves_no_directory(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(RunDirError, match=r"cannot write .*\.lock"), RunDir.create(tmp_path / "runs" / "one"):
        pass
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.rglob("*")] in ([], ["runs", "one", ".lock"])
    with RunDir.create(tmp_path / "other" / "runs" / "one") as run_dir:
        run_dir.write_spec(load_spec("quickstart"))
        run_dir.discard()
    assert not (tmp_path / "other").exists()
    (tmp_path / "mine").mkdir()
    with RunDir.create(tmp_path / "mine" / "one") as run_dir:
        run_dir.discard()
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_one_warning(tmp_path, monkeypatch, caplog, number):
    def without(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", without)
    monkeypatch.setattr(file_lock, "_warned", set())
    with RunDir.create(tmp_path / "one") as run_dir:
        run_dir.write_spec(load_spec("quickstart"))
        with pytest.raises(RunDirError, match=rf"is in use by process {os.getpid()} on ") as caught:
            RunDir(tmp_path / "one").locked().__enter__()
        assert caught.value.hint == f"where it is gone, delete {tmp_path / 'one' / '.lock.held'}"
    for _ in range(2):
        with RunDir.open(tmp_path / "one").locked():
            pass
    assert [record.getMessage()[:24] for record in caplog.records] == ["no locks on the file sys"]
    with RunDir.create(tmp_path / "two") as run_dir:
        run_dir.discard()
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    ("owner", "is_stale"),
    [
        ("process {dead} on {here}", True),
        ("process {self} on {here}", True),  # a container's process 1, of the container before
        ("process {alive} on {here}", False),
        ("process {dead} on elsewhere", False),
        ("", False),
    ],
)
def test_what_a_killed_process_left_is_taken_over(tmp_path, monkeypatch, owner, is_stale):
    def without(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True)
    numbers = {"dead": int(ended.stdout), "self": os.getpid(), "alive": os.getppid()}
    begin(tmp_path)
    (tmp_path / ".lock.held").write_text(owner.format(**numbers, here=socket.gethostname()))
    monkeypatch.setattr(fcntl, "flock", without)
    if is_stale:
        with RunDir(tmp_path).locked():
            pass
        assert not (tmp_path / ".lock.held").exists()
        return
    with pytest.raises(RunDirError, match="is in use by"):
        RunDir(tmp_path).locked().__enter__()


def test_a_checkpoint_knows_its_run(tmp_path):
    run_dir = begin(tmp_path)
    run_dir.checkpoints.mkdir()
    assert RunDir.of_checkpoint(run_dir.last) is None
    run_dir.record.write_text("{}")
    assert RunDir.of_checkpoint(run_dir.last).path == tmp_path.resolve()
    assert RunDir.of_checkpoint(tmp_path / "alone.safetensors") is None


def test_a_damaged_spec_is_named(tmp_path):
    run_dir = begin(tmp_path)
    run_dir.spec.write_text("iterations = [")
    with pytest.raises(RunDirError, match=r"spec\.toml is damaged"):
        run_dir.read_spec()


def test_a_path_with_a_line_break_does_not_break_the_spec(tmp_path):
    assert begin(tmp_path / "a\nb").read_spec() == load_spec("quickstart")


def test_a_data_root_that_is_gone_is_said_where_another_is_taken(tmp_path, monkeypatch, caplog):
    photos = tmp_path / "photos"
    photos.mkdir()
    with RunDir.create(tmp_path / "run") as run_dir:
        run_dir.write_spec(load_spec("quickstart"), photos)
    checkpoint = run_dir.last
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.touch()
    run_dir.record.touch()
    assert noted_data_root(checkpoint) == photos
    photos.rmdir()
    monkeypatch.setenv("RESCLI_DATA", "/elsewhere")
    assert noted_data_root(checkpoint) is None
    assert f"{photos} is gone" in caplog.text
    assert "RESCLI_DATA are taken: /elsewhere" in caplog.text
