"""Data that is there and whole, there and damaged, or not there."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from rescli.data.cifar.images import CIFAR10
from rescli.data.photos.pack_index import write_index
from rescli.diagnosis import images
from rescli.diagnosis.findings import Finding
from rescli.diagnosis.images import look_at_data


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small set that claims to be CIFAR-10: its folder, whole."""
    content = {"train": b"images", "test": b"others"}
    files = replace(
        CIFAR10.files, md5s={name: md5(c) for name, c in content.items()}, archive_md5=md5(b"archive")
    )
    monkeypatch.setattr(images, "CIFAR10", replace(CIFAR10, files=files))
    folder = tmp_path / files.folder
    folder.mkdir()
    for name, c in content.items():
        (folder / name).write_bytes(c)
    return folder


def found(root: Path, begins: str) -> Finding:
    return next(one for one in look_at_data(root).findings if one.text.startswith(begins))


def test_a_set_that_is_whole(cifar: Path) -> None:
    one = found(cifar.parent, "CIFAR-10: ")
    assert one == Finding("ok", f"CIFAR-10: whole, every one of 2 files by MD5, in {cifar}")


def test_a_flipped_bit_is_a_problem(cifar: Path) -> None:
    (cifar / "test").write_bytes(b"otherS")
    one = found(cifar.parent, "test of CIFAR-10")
    assert one.level == "problem"
    assert "is damaged: its MD5 is" in one.text
    assert "get it again" in one.hint


def test_a_missing_file_is_a_problem(cifar: Path) -> None:
    (cifar / "test").unlink()
    assert found(cifar.parent, "CIFAR-10 in").level == "problem"


@pytest.mark.parametrize(("content", "level"), [(b"archive", "ok"), (b"half of", "problem")])
def test_an_archive_is_looked_at_as_a_whole(cifar: Path, content: bytes, level: str) -> None:
    for file in cifar.iterdir():
        file.unlink()
    cifar.rmdir()
    archive = cifar.parent / CIFAR10.files.archive
    archive.write_bytes(content)
    one = found(cifar.parent, "CIFAR-10: whole, the archive by MD5" if level == "ok" else str(archive))
    assert one.level == level


def test_none_is_no_problem_and_nothing_is_downloaded(tmp_path: Path) -> None:
    part = look_at_data(tmp_path)
    assert {one.level for one in part.findings} == {"ok"}
    assert "170 MB are downloaded there" in part.findings[0].text
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_downloaded_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "why_not_writable", lambda _folder: "Read-only file system")
    one = found(tmp_path, "CIFAR-100: not in")
    assert one.level == "note"
    assert one.text.endswith("it cannot be downloaded there (Read-only file system)")


def test_a_folder_that_may_not_be_read_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = found(tmp_path / "file" / "below", "cannot read CIFAR-100")
    assert one.level == "note"
    assert "Not a directory" in one.text


def test_a_named_folder_that_is_not_there_is_a_note(tmp_path: Path) -> None:
    part = look_at_data(tmp_path / "none")
    assert part.findings[0] == Finding("note", f"the folder that was given is not there: {tmp_path / 'none'}")


def test_imagenet_with_too_few_classes_is_a_note(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split / "n01440764").mkdir(parents=True)
    one = found(tmp_path, "ImageNet: ")
    assert one.level == "note"
    assert "train 1 class folder, val 1 class folder, 1,000 expected" in one.text


def test_packed_imagenet_by_its_index(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        (tmp_path / f"{split}.images").write_bytes(b"x")
    write_index(tmp_path, ("a", "b"), {"train": 5, "val": 2})
    one = found(tmp_path, "ImageNet: ")
    assert (one.level, one.text) == (
        "ok",
        f"ImageNet: in {tmp_path}, packed: train 5 images, val 2 images of 2 classes, by its index alone",
    )
    (tmp_path / "packed.json").write_text("{")
    assert found(tmp_path, "ImageNet: ").level == "problem"
