"""Archives into class folders: all of it, whenever it was stopped, and nothing outside."""

from __future__ import annotations

import errno
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from rescli.data.imagenet import archives as ilsvrc_archives
from rescli.data.imagenet.archives import (
    Extracted,
    bytes_to_write,
    clear_staging,
    extract_train,
    extract_val,
)
from rescli.data.imagenet.images import read_imagenet
from rescli.data.imagenet.labels import find_labels
from rescli.errors import DataError

FIRST, SECOND, THIRD = WNIDS = ("n01440764", "n01443537", "n15075141")


@pytest.fixture(autouse=True)
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """How often the disk was waited for; nobody waits for it here, for others may be writing much."""
    calls: list[None] = []
    monkeypatch.setattr(os, "sync", lambda: calls.append(None))
    return calls


def train(ilsvrc: Any, out: Path, **given: Any) -> Extracted:
    return extract_train(
        ilsvrc.folder / "ILSVRC2012_img_train.tar",
        out / "train",
        ilsvrc.class_names,
        **{"num_images": len(ilsvrc.train), **given},
    )


def val(ilsvrc: Any, out: Path, **given: Any) -> Extracted:
    found = find_labels([ilsvrc.folder])
    assert found is not None
    return extract_val(
        ilsvrc.folder / "ILSVRC2012_img_val.tar",
        out / "val",
        found[1],
        ilsvrc.class_names,
        **{"num_images": len(ilsvrc.val), "labels_from": found[0], **given},
    )


def both(ilsvrc: Any, out: Path) -> tuple[Extracted, Extracted]:
    return train(ilsvrc, out), val(ilsvrc, out)


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def wanted(files: dict[str, tuple[str, bytes]], split: str) -> dict[str, bytes]:
    return {f"{split}/{wnid}/{name}": content for name, (wnid, content) in files.items()}


def test_all_of_it_with_every_byte(ilsvrc: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    out = tmp_path / "out"
    made = train(ilsvrc, out, progress=lambda done, total: seen.append((done, total)))
    assert (made.images_per_class, made.num_new) == ({FIRST: 2, SECOND: 3, THIRD: 4}, 9)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    seen.clear()
    made = val(ilsvrc, out, progress=lambda done, total: seen.append((done, total)))
    assert (made.num_images, made.num_new) == (7, 7)
    assert seen[-1] == (sum(len(content) for _, content in ilsvrc.val.values()),) * 2
    assert tree(out) == wanted(ilsvrc.train, "train") | wanted(ilsvrc.val, "val")
    sets = read_imagenet(out, ("train", "val"), ilsvrc.class_names)
    assert (len(sets["train"]), len(sets["val"])) == (9, 7)


def test_a_second_time_nothing_is_written(ilsvrc: Any, tmp_path: Path, syncs: list[None]) -> None:
    train(ilsvrc, tmp_path)
    assert len(syncs) == 1
    val(ilsvrc, tmp_path)
    assert len(syncs) == 2
    for path in (tmp_path / "train").rglob("*.JPEG"):
        os.utime(path, (1, 1))
    assert (train(ilsvrc, tmp_path).num_new, val(ilsvrc, tmp_path).num_new) == (0, 0)
    assert len(syncs) == 2
    assert {path.stat().st_mtime for path in (tmp_path / "train").rglob("*.JPEG")} == {1}


@pytest.mark.parametrize("copies", range(16))
def test_stopped_after_any_file_it_goes_on(
    ilsvrc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: int
) -> None:
    """As kill -9 leaves it: what stands is whole, the rest lies under another name."""
    out, done = tmp_path / "out", 0
    real = ilsvrc_archives._copy

    def dying(content: Any, file: Any, member: Any) -> None:
        nonlocal done
        if done == copies:
            file.write(content.read(member.size // 2))
            raise SystemExit
        done += 1
        real(content, file, member)

    with monkeypatch.context() as patch:
        patch.setattr(ilsvrc_archives, "_copy", dying)
        patch.setattr(ilsvrc_archives.shutil, "rmtree", lambda *_, **__: None)  # the killed tidy nothing
        with pytest.raises(SystemExit):
            both(ilsvrc, out)
    assert any(".unfinished/" in name for name in tree(out))
    named = {name: content for name, content in tree(out).items() if ".unfinished/" not in name}
    whole = wanted(ilsvrc.train, "train") | wanted(ilsvrc.val, "val")
    assert named.items() <= whole.items()
    for folder in {name.rpartition("/")[0] for name in named}:
        assert {n for n in named if n.startswith(folder)} == {n for n in whole if n.startswith(folder)}
    assert [made.num_images for made in both(ilsvrc, out)] == [9, 7]
    assert tree(out) == whole


def test_a_full_disk_leaves_no_half_folder(
    ilsvrc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ilsvrc_archives._copy

    def full(content: Any, file: Any, member: Any) -> None:
        if member.name.endswith("5.JPEG"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(content, file, member)

    monkeypatch.setattr(ilsvrc_archives, "_copy", full)
    with pytest.raises(OSError, match="No space left"):
        val(ilsvrc, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_clear_staging(tmp_path: Path) -> None:
    for name in ("train/.n1.unfinished/x", ".val.unfinished/n1/x", "train/n1/x", "train/.keep/x"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"")
    clear_staging(tmp_path / "train")
    clear_staging(tmp_path / "val")
    assert sorted(tree(tmp_path)) == ["train/.keep/x", "train/n1/x"]


@pytest.mark.parametrize("change", ["missing", "short", "extra"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_folder_that_is_something_else_is_left_alone(
    ilsvrc: Any, tmp_path: Path, split: str, change: str
) -> None:
    make = {"train": train, "val": val}[split]
    make(ilsvrc, tmp_path)
    (first, *_) = sorted((tmp_path / split / THIRD).iterdir())
    if change == "missing":
        first.unlink()
    elif change == "short":
        first.write_bytes(first.read_bytes()[:-1])
    else:
        first.with_name("mine.JPEG").write_bytes(b"mine")
        first.with_name(".DS_Store").write_bytes(b"")  # this one is nobody's concern
    before = tree(tmp_path)
    with pytest.raises(
        DataError, match=r"is there already and not what .* has: .* 1 missing, unknown"
    ) as caught:
        make(ilsvrc, tmp_path)
    assert "move" in str(caught.value.hint)
    assert tree(tmp_path) == before


def _tar(path: Path, *members: tarfile.TarInfo, content: bytes = b"evil") -> None:
    with tarfile.open(path, "w:") as tar:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


UNSAFE = [
    _member("/tmp/rescli-evil.JPEG"),
    _member("../evil.JPEG"),
    _member("n01440764/../../evil.JPEG"),
    _member("sub/evil.JPEG"),
    _member(".evil.JPEG"),
    _member("..\\evil.JPEG"),
    _member("evil.JPEG", tarfile.SYMTYPE, "/etc/passwd"),
    _member("evil.JPEG", tarfile.LNKTYPE, "/etc/passwd"),
    _member("evil.JPEG", tarfile.DIRTYPE),
    _member("evil.JPEG", tarfile.FIFOTYPE),
    _member("evil.JPEG", tarfile.CHRTYPE),
]


@pytest.mark.parametrize("member", UNSAFE, ids=lambda member: f"{member.name} {member.type!r}")
class TestUnsafe:
    def test_in_val(self, ilsvrc: Any, tmp_path: Path, member: tarfile.TarInfo) -> None:
        _tar(ilsvrc.folder / "ILSVRC2012_img_val.tar", _member("ILSVRC2012_val_00000001.JPEG"), member)
        before = tree(tmp_path)
        with pytest.raises(DataError, match="no plain file with a plain name"):
            val(ilsvrc, tmp_path / "out", num_images=2)
        assert tree(tmp_path) == before

    def test_in_a_class(self, ilsvrc: Any, tmp_path: Path, member: tarfile.TarInfo) -> None:
        inner = tmp_path / "inner.tar"
        _tar(inner, _member("good.JPEG"), member)
        with tarfile.open(ilsvrc.folder / "ILSVRC2012_img_train.tar", "w:") as tar:
            for wnid in WNIDS:
                tar.add(inner, f"{wnid}.tar")
        before = tree(tmp_path)
        with pytest.raises(DataError, match=r"n01440764\.tar in .* has a member that is no plain file"):
            train(ilsvrc, tmp_path / "out")
        assert tree(tmp_path) == before

    def test_among_the_classes(self, ilsvrc: Any, tmp_path: Path, member: tarfile.TarInfo) -> None:
        _tar(ilsvrc.folder / "ILSVRC2012_img_train.tar", member)
        with pytest.raises(
            DataError, match=r"no plain file with a plain name|should hold each CLASS\.tar once"
        ):
            train(ilsvrc, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_files_that_are_no_images_and_names_twice(ilsvrc: Any, tmp_path: Path) -> None:
    for name in ("notes.txt", "ILSVRC2012_val_00000001.JPEG"):
        _tar(ilsvrc.folder / "ILSVRC2012_img_val.tar", _member("ILSVRC2012_val_00000001.JPEG"), _member(name))
        with pytest.raises(DataError, match=f"has '{name}' in it, which is no image or there twice"):
            val(ilsvrc, tmp_path / "out", num_images=2)


class TestCounts:
    def test_of_val_before_anything_is_written(self, ilsvrc: Any, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="has 7 images; it should have 8"):
            val(ilsvrc, tmp_path / "out", num_images=8)
        assert not (tmp_path / "out").exists()

    def test_of_train(self, ilsvrc: Any, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="has 9 images in 3 classes; it should have 10"):
            train(ilsvrc, tmp_path / "out", num_images=10)

    def test_of_classes(self, ilsvrc: Any, tmp_path: Path) -> None:
        archive = ilsvrc.folder / "ILSVRC2012_img_train.tar"
        with pytest.raises(
            DataError, match=r"2 missing \(n01440765, n2\), 2 unknown \(n01440764, n01443537\)"
        ):
            extract_train(archive, tmp_path / "out", ["n01440765", "n2", THIRD], num_images=9)
        assert not (tmp_path / "out").exists()

    def test_every_class_of_val_has_images(self, ilsvrc: Any, tmp_path: Path) -> None:
        names = [*ilsvrc.class_names, "n15075142"]
        with pytest.raises(DataError, match="gives 1 class no image: n15075142"):
            extract_val(
                ilsvrc.folder / "ILSVRC2012_img_val.tar",
                tmp_path / "out",
                {name[:-5]: wnid for name, (wnid, _) in ilsvrc.val.items()},
                names,
                num_images=7,
                labels_from=Path("val.csv"),
            )


@pytest.mark.parametrize("archive", ["train", "val"])
def test_wherever_an_archive_is_cut_off_it_is_seen(ilsvrc: Any, tmp_path: Path, archive: str) -> None:
    path = ilsvrc.folder / f"ILSVRC2012_img_{archive}.tar"
    whole = path.read_bytes()
    content = len(whole.rstrip(b"\0"))
    for length in (0, 100, 512, 700, 5000, 10240, content // 2 // 512 * 512, content // 2, content - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"is damaged|does not have the 3 classes") as caught:
            {"train": train, "val": val}[archive](ilsvrc, tmp_path / str(length))
        assert caught.value.hint is not None
        assert not any(".unfinished" in name for name in tree(tmp_path / str(length)))


def test_a_damaged_header_is_not_taken_for_the_end(ilsvrc: Any, tmp_path: Path) -> None:
    path = ilsvrc.folder / "ILSVRC2012_img_val.tar"
    whole = bytearray(path.read_bytes())
    second = whole.index(b"ILSVRC2012_val_00000002.JPEG\0")
    whole[second + 148] ^= 1  # its checksum
    path.write_bytes(whole)
    with pytest.raises(DataError, match=f"is damaged or cut off at byte {second}"):
        val(ilsvrc, tmp_path / "out", num_images=1)


def test_bytes_to_write(ilsvrc: Any, tmp_path: Path) -> None:
    archive = ilsvrc.folder / "ILSVRC2012_img_train.tar"
    with tarfile.open(archive) as tar:
        sizes = {member.name: member.size for member in tar}
    whole = bytes_to_write(archive, tmp_path, of_classes=True)
    assert whole == sum(sizes.values()) + sum(sizes.values()) // 50
    (tmp_path / FIRST).mkdir()
    rest = sum(sizes.values()) - sizes[f"{FIRST}.tar"]
    assert bytes_to_write(archive, tmp_path, of_classes=True) == rest + rest // 50
    val_archive = ilsvrc.folder / "ILSVRC2012_img_val.tar"
    assert bytes_to_write(val_archive, tmp_path, of_classes=False) == 0
    assert bytes_to_write(val_archive, tmp_path / "val", of_classes=False) >= val_archive.stat().st_size
