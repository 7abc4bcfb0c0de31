"""A disk that breaks while a command writes: the first error is told, with a way out of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broken_disk import KINDS, BrokenDisk
from photographs import put_cats_and_dogs

from rescli.checkpoints.file_kinds import kind_of_file
from rescli.data.cifar.images import CIFAR10
from rescli.data.cifar.official_files import verified_source
from rescli.data.imagenet.archives import extract_val
from rescli.data.imagenet.labels import DEVKIT, find_labels
from rescli.data.photos.packed import read_packed
from rescli.errors import CheckpointError, DataError, UsageError, WriteError
from rescli.files import (
    cannot_write,
    read_file,
    remove,
    require_nameable,
    write_atomically,
    writing,
)
from rescli.stored.json_values import read_stored

Rescli = Callable[..., Any]

SAID = {
    "read-only": "Read-only file system",
    "full": "No space left on device",
    "quota": "Disk quota exceeded",
    "failing": "Input/output error",
    "gone": "No such file or directory",
    "a file": "Not a directory",
}
WAY_OUT = ("name another place", "name a place on another", "make room", "names another place", "--out")


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def typed(command: str, out: Path, net: Path) -> tuple[object, ...]:
    on = ("--device", "cpu")
    return {
        "csv": ("predict", net, "photos/val/cat/1.jpg", "--csv", out / "table.csv", *on),
        "figure": ("predict", net, "photos/val/cat/1.jpg", "--figure", out / "sheet.png", *on),
        "logits": ("eval", net, "--split", "val", "--save-logits", out / "logits.safetensors", *on),
        "export": ("export", net, "--format", "safetensors", "--out", out / "net.safetensors"),
        "tidy": ("data", "tidy", "--data-root", "photos", "--out", out / "tidied"),
        "copy": ("data", "tidy", "--data-root", "photos", "--out", out / "tidied", "--copy"),
        "pack": ("data", "pack", "imagefolder", "--data-root", "photos", "--out", out / "packed"),
    }[command]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        *[(command, kind) for command in ("csv", "tidy", "pack") for kind in KINDS],
        *[(command, "read-only") for command in ("figure", "logits", "copy")],
    ],
)
def test_at_some_moment_of_a_command(rescli: Rescli, net8: Path, out: Path, command: str, kind: str) -> None:
    put_cats_and_dogs(Path("photos"), 1)
    healthy = BrokenDisk(out)
    with healthy():
        assert rescli(*typed(command, out, net8)).code == 0
    # The second, and one in the middle: at the first nothing was begun.
    for after in sorted({1, healthy.count // 2}):
        _require_told(rescli, typed(command, out, net8), out, BrokenDisk(out, kind, after))


@pytest.mark.parametrize("kind", ["read-only", "gone"])
def test_in_the_middle_of_an_export(rescli: Rescli, net8: Path, out: Path, kind: str) -> None:
    _require_told(rescli, typed("export", out, net8), out, BrokenDisk(out, kind, 1))


def _require_told(rescli: Rescli, typed: tuple[object, ...], out: Path, disk: BrokenDisk) -> None:
    remove(out)
    out.mkdir()
    with disk():
        answer = rescli(*typed)
    assert disk.is_broken
    assert answer.code == (1 if {"--csv", "--figure"} & {*typed} else 4), (disk.log, answer.err)
    assert f": {SAID[disk.kind]}; " in answer.err or "not a directory" in answer.err.lower(), answer.err
    assert any(way in answer.err for way in WAY_OUT), answer.err
    if disk.kind in ("full", "quota"):
        assert [entry.name for entry in out.iterdir()] == []


@pytest.mark.parametrize(("kind", "every"), [("read-only", 8), ("full", 24), ("failing", 24)])
def test_at_each_moment_of_a_training(
    rescli: Rescli, tiny: list[str], out: Path, kind: str, every: int
) -> None:
    short = [*tiny, "--iterations", 2, "--out", out / "run"]
    healthy = BrokenDisk(out)
    with healthy():
        assert rescli("train", *short).code == 0
    for after in range(0, healthy.count - 3, every):  # the last ones are of the picture, which may fail
        remove(out)
        out.mkdir()
        disk = BrokenDisk(out, kind, after)
        with disk():
            answer = rescli("train", *short)
        assert answer.code in (2, 4), (after, disk.log[after], answer)
        assert SAID[kind] in answer.err, answer.err
        assert "OSError" not in answer.err
        assert len(answer.err.split("error: ")) == 2
        assert any(way in answer.err for way in WAY_OUT), answer.err


def test_a_resumed_run_goes_on_once_the_disk_is_mended(rescli: Rescli, tiny: list[str], out: Path) -> None:
    disk = BrokenDisk(out, "read-only", 30)
    with disk():
        assert rescli("train", *tiny, "--out", out / "run").code == 4
    assert rescli("train", "--resume", out / "run").code == 0
    assert list(out.rglob("*.tmp")) == []


def test_a_cache_that_cannot_be_written_is_done_without(
    rescli: Rescli, net8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for kind in ("read-only", "full", "gone"):
        (tmp_path / "cache").mkdir(exist_ok=True)
        disk = BrokenDisk(tmp_path / "cache", kind, 0)
        with disk():
            answer = rescli("eval", net8, "--split", "val", "--device", "cpu")
        assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("number", "way"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "make room"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "not yours to write"),
        (errno.EIO, "the disk fails"),
        (errno.ENOENT, "moved or removed"),
    ],
)
def test_what_to_do_about_it(tmp_path: Path, number: int, way: str) -> None:
    error = cannot_write(
        tmp_path / "gone" / "x y", OSError(number, os.strerror(number)), error=CheckpointError
    )
    assert isinstance(error, CheckpointError)
    assert way in str(error.hint)
    assert "/gone" not in str(error.hint)  # a folder that is there


def test_the_first_error_is_told_where_cleaning_up_fails_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "the second")

    monkeypatch.setattr(os, "unlink", refuses)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "the first")))
    with pytest.raises(WriteError, match="the first"):
        write_atomically(tmp_path / "x", b"x")
    monkeypatch.setattr(os, "rmdir", refuses)
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match="the first"), writing(tmp_path, clean=[tmp_path / "folder"]):
        raise OSError(errno.EIO, "the first")


def test_no_file_takes_the_place_of_a_pipe_or_a_device(rescli: Rescli, net8: Path, out: Path) -> None:
    """Renamed over /dev/null, by root, it would be nobody's device any more."""
    os.mkfifo(out / "pipe.csv")
    (out / "link.csv").symlink_to("/dev/null")
    for name in ("pipe.csv", "link.csv"):
        before = os.lstat(out / name)
        with pytest.raises(WriteError, match="a pipe or a device"):
            write_atomically(out / name, b"x")
        with pytest.raises(UsageError, match="a pipe or a device"):
            require_nameable(out / name)
        answer = rescli("predict", net8, "nothing.png", "--csv", out / name, "--device", "cpu")
        assert answer.code == 2
        assert "a pipe or a device" in answer.err
        assert os.lstat(out / name).st_ino == before.st_ino


def test_a_pipe_a_device_and_a_huge_file_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    for name in ("pipe", "zero"):
        with pytest.raises(OSError, match="a pipe or a device"):
            read_file(tmp_path / name)
        with pytest.raises(CheckpointError, match="a pipe or a device"):
            read_stored(tmp_path / name, dict)
    with pytest.raises(OSError, match=r"1,099,512 MB"):
        read_file(tmp_path / "sparse")
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path)
    (tmp_path / "whole").write_bytes(b"abc")
    assert read_file(tmp_path / "whole", most=3) == b"abc"


def test_a_pipe_in_the_place_of_data_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "val.safetensors"
    os.mkfifo(pipe)
    os.link(pipe, tmp_path / DEVKIT)
    with pytest.raises(DataError, match="a pipe or a device"):
        read_packed(tmp_path, "val", ("cat",))
    with pytest.raises(DataError, match="a pipe or a device"):
        verified_source(CIFAR10.files, pipe)
    with pytest.raises(DataError, match="a pipe or a device"):
        find_labels([tmp_path])
    with pytest.raises(DataError, match="a pipe or a device"):
        extract_val(pipe, tmp_path / "out", {}, ["cat"], num_images=1, labels_from=pipe)
    with pytest.raises(OSError, match="a pipe or a device"):
        kind_of_file(pipe)


def test_logits_are_written_last(rescli: Rescli, net8: Path, out: Path) -> None:
    """So that the same command is not refused where the disk failed at a picture."""
    argv = (*typed("logits", out, net8), "--figure", out / "below" / "confusion.png")
    (out / "below").mkdir()
    disk = BrokenDisk(out / "below", "full", 0)
    with disk():
        assert rescli(*argv).code == 1
    assert disk.is_broken
    assert rescli(*argv).code == 0
    assert sorted(path.name for path in out.rglob("*.*")) == ["confusion.png", "logits.safetensors"]
