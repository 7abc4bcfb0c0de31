from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torchvision.datasets.utils

from rescli.data.cifar.official_files import default_data_root, read_checked
from rescli.errors import DataError

WANTED = ("test_batch", "batches.meta")


@pytest.fixture(autouse=True)
def _no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, *_: Any, **__: Any) -> None:
        raise OSError(f"no network in tests: {url}")

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", refuse)


def listing(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_reads_only_what_is_wanted(fake_cifar: Any) -> None:
    assert read_checked(fake_cifar.cifar.files, fake_cifar.root, wanted=WANTED) == {
        name: fake_cifar.contents[name] for name in WANTED
    }


def test_root_may_be_the_folder_or_the_archive(fake_cifar: Any, tmp_path: Path) -> None:
    files = fake_cifar.cifar.files
    expected = read_checked(files, fake_cifar.root, wanted=WANTED)
    archives = tmp_path / "archives"
    archives.mkdir()
    archive = fake_cifar.pack(archives / files.archive)
    renamed_folder = tmp_path / "renamed"
    shutil.copytree(fake_cifar.folder, renamed_folder)
    renamed_archive = tmp_path / "mine.tgz"
    shutil.copy(archive, renamed_archive)
    for root in (fake_cifar.folder, archives, archive, renamed_folder, renamed_archive):
        assert read_checked(files, root, wanted=WANTED) == expected


def test_without_root_the_environment_then_the_cache(
    fake_cifar: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RESCLI_DATA", str(fake_cifar.root))
    assert default_data_root() == fake_cifar.root
    assert read_checked(fake_cifar.cifar.files, None, wanted=WANTED).keys() == set(WANTED)
    monkeypatch.setenv("RESCLI_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_data_root() == tmp_path / "cache" / "rescli"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_data_root() == tmp_path / ".cache" / "rescli"


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_flipped_bit_in_any_file(fake_cifar: Any, name: str) -> None:
    path = fake_cifar.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{name} of CIFAR-10 in .* is damaged: its MD5 is") as caught:
        read_checked(fake_cifar.cifar.files, fake_cifar.root, wanted=("data_batch_1",))
    assert fake_cifar.cifar.files.md5s[name] in str(caught.value)
    assert [remedy.setting for remedy in caught.value.remedies] == ["data_root"]
    assert path.read_bytes() == content


def test_incomplete_folder_names_what_is_missing(fake_cifar: Any) -> None:
    (fake_cifar.folder / "data_batch_2").unlink()
    (fake_cifar.folder / "test_batch").unlink()
    before = listing(fake_cifar.root)
    for root in (fake_cifar.root, fake_cifar.folder):
        with pytest.raises(DataError, match="incomplete: data_batch_2, test_batch missing"):
            read_checked(fake_cifar.cifar.files, root, wanted=WANTED)
    assert listing(fake_cifar.root) == before


def test_damaged_archives(fake_cifar: Any, tmp_path: Path) -> None:
    files = fake_cifar.cifar.files
    whole = fake_cifar.pack(tmp_path / "whole.tar.gz").read_bytes()
    middle = len(whole) // 2
    damaged = {
        "truncated": whole[:middle],
        "not a tar": b"<html>404</html>",
        "empty": b"",
        "bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
    }
    for content in damaged.values():
        archive = tmp_path / "damaged.tar.gz"
        archive.write_bytes(content)
        with pytest.raises(DataError, match=r"damaged\.tar\.gz|is damaged"):
            read_checked(files, archive, wanted=WANTED)
        assert archive.read_bytes() == content
    partial = fake_cifar.pack(tmp_path / "partial.tar.gz", without="data_batch_5")
    with pytest.raises(DataError, match=r"partial\.tar\.gz lacks files of CIFAR-10: data_batch_5"):
        read_checked(files, partial, wanted=WANTED)


def test_paths_that_cannot_be_read(fake_cifar: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = fake_cifar.cifar.files
    with pytest.raises(DataError, match="no such file"):
        read_checked(files, tmp_path / "typo.tar.gz", wanted=WANTED)
    (tmp_path / "file").write_text("text")
    with pytest.raises(DataError, match="is not a whole tar archive"):
        read_checked(files, tmp_path / "file", wanted=WANTED)
    with pytest.raises(DataError, match="cannot read CIFAR-10 from"):
        read_checked(files, tmp_path / "file" / "below", wanted=WANTED)
    (fake_cifar.folder / "test_batch").unlink()
    (fake_cifar.folder / "test_batch").mkdir()
    with pytest.raises(DataError, match="cannot read CIFAR-10 from"):
        read_checked(files, fake_cifar.root, wanted=WANTED)

    def denied(path: Path, **_: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", denied)
    with pytest.raises(DataError, match="Permission denied") as caught:
        read_checked(files, tmp_path, wanted=WANTED)
    assert "permissions" in str(caught.value.hint)


def test_offline_says_what_to_put_where(fake_cifar: Any, tmp_path: Path) -> None:
    root = tmp_path / "new" / "place"
    with pytest.raises(DataError, match=r"downloading http://.* failed: no network") as caught:
        read_checked(fake_cifar.cifar.files, root, wanted=WANTED)
    (remedy,) = caught.value.remedies
    hint = f"{caught.value.hint}; {remedy}"
    for said in (
        "cifar-10-python.tar.gz",
        "170498071 bytes",
        "c58f30108f718f92721af3b95e74349a",
        fake_cifar.cifar.files.url,
        str(root),
        "data_root",
        "RESCLI_DATA",
    ):
        assert said in hint
    assert not (tmp_path / "new").exists()


def test_refused_connection(
    fake_cifar: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing listens on port 1: torchvision's own download_url fails at once.
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DataError, match=r"downloading http://127\.0\.0\.1:1/.* failed"):
        read_checked(fake_cifar.cifar.files, tmp_path / "new", wanted=WANTED)
    assert capsys.readouterr().out == ""


def test_download_is_renamed_into_place(
    fake_cifar: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(url: str, root: str, filename: str, md5: str) -> None:
        assert (url, md5) == (fake_cifar.cifar.files.url, fake_cifar.cifar.files.archive_md5)
        print("a library's chatter")
        fake_cifar.pack(Path(root) / filename)

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", serve)
    root = tmp_path / "new" / "place"
    expected = {name: fake_cifar.contents[name] for name in WANTED}
    assert read_checked(fake_cifar.cifar.files, root, wanted=WANTED) == expected
    assert listing(root) == ["cifar-10-python.tar.gz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "new"]
    assert capsys.readouterr().out == ""
    # The second time it is simply there.
    again = dataclasses.replace(fake_cifar.cifar.files, url="nowhere")
    assert read_checked(again, root, wanted=WANTED) == expected


def test_failed_download_leaves_nothing(
    fake_cifar: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str, root: str, filename: str, **__: Any) -> None:
        (Path(root) / filename).write_bytes(b"half")
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", broken)
    root = tmp_path / "empty"
    root.mkdir()
    with pytest.raises(DataError, match="File not found or corrupted"):
        read_checked(fake_cifar.cifar.files, root, wanted=WANTED)
    assert listing(root) == []
