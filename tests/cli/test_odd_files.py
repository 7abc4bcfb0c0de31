"""Files that are none, links that lead nowhere or in a circle, and huge images: in every command, no hang."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from photographs import put_cats_and_dogs, write_torture

Rescli = Callable[..., Any]

CHECKOUT = Path(__file__).resolve().parents[2]

SMALL = ("--depth", 8, "--set", "model.width=4", "--iterations", 1, "--batch-size", 4, "--workers", 0)
ON_CPU = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    def too_long(_number: int, _frame: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return put_cats_and_dogs(Path("photos"), 4)


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "x.jpg")


def a_link_to_a_pipe(folder: Path) -> None:
    os.mkfifo("pipe")
    (folder / "x.jpg").symlink_to(Path("pipe").absolute())


def a_link_to_a_device(folder: Path) -> None:
    (folder / "x.jpg").symlink_to("/dev/zero")


def a_circle_of_folders(folder: Path) -> None:
    (folder / "below").symlink_to("..")
    (folder / "again").symlink_to("again")


def a_folder_called_as_an_image(folder: Path) -> None:
    (folder / "x.jpg").mkdir()
    (folder / "._y.jpg").write_bytes(b"\0\5\x16\7")


@pytest.mark.parametrize(
    "put", [a_pipe, a_link_to_a_pipe, a_link_to_a_device, a_circle_of_folders, a_folder_called_as_an_image]
)
def test_what_is_no_file_is_left_out_everywhere(
    photos: Path, rescli: Rescli, put: Callable[[Path], None]
) -> None:
    for split in ("train", "val"):
        Path("pipe").unlink(missing_ok=True)
        put(photos / split / "cat")
    at = ("--data-root", photos)
    answers = [
        rescli("data", "verify", "imagefolder", *at),
        rescli("data", "tidy", *at, "--out", "tidied"),
        rescli("data", "pack", "imagefolder", *at, "--out", "packed"),
        rescli("train", "imagefolder/32", *at, *SMALL, *ON_CPU, "--out", "run"),
        rescli("eval", "run", "--device", "cpu"),
        rescli("predict", "run", photos / "val/cat", "--device", "cpu"),
    ]
    assert [answer.code for answer in answers] == [0] * 6
    assert "train  8 images" in answers[2].err
    assert len(answers[5].out.splitlines()) == 5


@pytest.mark.parametrize("link", ["nowhere", "x.jpg"], ids=["nothing", "itself"])
def test_a_link_to_nothing_is_refused_and_tidied(photos: Path, rescli: Rescli, link: str) -> None:
    (photos / "train/cat/x.jpg").symlink_to(link)
    at = ("--data-root", photos)
    for typed in (
        ("train", "imagefolder/32", *at, *SMALL, *ON_CPU, "--out", "run"),
        ("train", "imagefolder/32", *at, *SMALL, *ON_CPU, "--dry-run"),
        ("data", "pack", "imagefolder", *at, "--out", "packed"),
    ):
        answer = rescli(*typed)
        assert answer.code == 3
        assert "only a link to nothing: cat/x.jpg" in answer.err
    assert rescli("data", "verify", "imagefolder", *at).code == 3
    tidied = rescli("data", "tidy", *at, "--out", "tidied")
    assert (tidied.code, "1 image that cannot be decoded: train cat/x.jpg" in tidied.err) == (0, True)
    assert rescli("data", "verify", "imagefolder", "--data-root", "tidied").code == 0


def test_a_pipe_by_name_is_not_waited_for(photos: Path, rescli: Rescli, net8: Path) -> None:
    os.mkfifo("x.jpg")
    answer = rescli("predict", net8, "x.jpg", photos / "val/cat/1.jpg", "--device", "cpu")
    assert answer.code == 3
    assert "1 of 2 could not be read" in answer.err


def huge(path: Path, side: int) -> None:
    """The header of a huge PNG, and hardly any pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("side", [11_000, 30_000])
@pytest.mark.filterwarnings("error")
def test_huge_images_are_named_without_warnings_of_pillow(
    photos: Path, rescli: Rescli, net8: Path, side: int
) -> None:
    huge(photos / "val/cat/x.png", side)
    typed = ("data", "pack", "imagefolder", "--data-root", photos, "--out", "packed")
    answers = [rescli(*typed), rescli("predict", net8, photos / "val/cat", "--device", "cpu")]
    assert [answer.code for answer in answers] == [3, 3]
    for answer in answers:
        assert "x.png cannot be decoded" in answer.err
        assert "Warning" not in answer.err
        assert ".." not in answer.err
    assert rescli(*typed, "--skip-damaged").code == 0


MEASURED = """
import resource, sys
import torch
from rescli.cli.app import main

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def type_(line):
    sys.argv = ["rescli", *line.split()]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, line
began = peak()
net = "--depth 8 --set model.width=4 --iterations 2 --batch-size 4 --workers 0"
cpu = "--device cpu --precision fp32 --skip-damaged"
type_(f"train imagefolder/32 --data-root torture {net} {cpu} --out run")
type_("eval run --data-root torture --skip-damaged --device cpu")
print("grown by", (peak() - began) // 1024)
"""


def test_odd_files_take_no_more_memory_than_is_stated(tmp_path: Path) -> None:
    """docs/data.md: half a gigabyte beside torch itself; in a process of its own, whose peak it is."""
    write_torture(tmp_path / "torture")
    path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) < 512


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("import", "x", "--model", "resnet-20", "--dataset", "cifar10", "--out", "y.safetensors"), 4),
        (("export", "x", "--format", "onnx", "--out", "y"), 4),
        (("eval", "x"), 4),
        (("train", "x.toml", "--out", "y"), 2),
        (("data", "verify", "cifar10", "--data-root", "cifar-10-python.tar.gz"), 3),
        (("data", "verify", "cifar10", "--data-root", "."), 3),
    ],
)
def test_a_pipe_is_called_a_pipe(
    rescli: Rescli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x", "x.toml", "cifar-10-python.tar.gz"):
        os.mkfifo(name)
    answer = rescli(*command)
    said = answer.err
    assert answer.code == code, said
    assert "is a pipe or a device, not a file" in said
    assert "no such" not in said
