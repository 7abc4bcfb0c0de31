from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from rescli.data.folders.layout import FolderOptions
from rescli.data.folders.names import ALL, SUFFIXES
from rescli.data.folders.read import folder_splits, other_files, read_folder
from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.photos.image_files import ImageFiles
from rescli.errors import DataError


def put(root: Path, *names: str) -> Path:
    """Files under ``root``, each with its own name in it: no test here decodes one."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def read_all(root: Path) -> ImageFiles:
    return read_folder(root, (ALL,))[ALL]


def test_splits(tmp_path: Path) -> None:
    root = put(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "val/cat/2.jpg", "test/dog/3.jpg")
    assert folder_splits(root) == ("train", "val", "test")
    sets = read_folder(root, ("val", "train"))
    assert list(sets) == ["val", "train"]
    assert sets["train"].root == root / "train"
    assert sets["train"].file_names == ("cat/1.jpg", "dog/1.jpg")
    assert sets["train"].labels_N.tolist() == [0, 1]
    assert len(sets["val"]) == 1


def test_flat(tmp_path: Path) -> None:
    root = put(tmp_path, "dog/b.jpg", "dog/a.jpg", "cat/z.jpg", "LICENSE")
    assert folder_splits(root) == (ALL,)
    images = read_all(root)
    assert images.root == root
    assert images.class_names == ("cat", "dog")
    assert images.num_classes == 2
    assert images.file_names == ("cat/z.jpg", "dog/a.jpg", "dog/b.jpg")
    assert images.labels_N.tolist() == [0, 1, 1]


def test_a_class_may_be_called_train_in_a_folder_of_classes(tmp_path: Path) -> None:
    root = put(tmp_path, "train/train/1.jpg", "train/plane/1.jpg", "train/test/1.jpg")
    assert folder_splits(root) == ("train",)
    assert read_folder(root, ("train",))["train"].class_names == ("plane", "test", "train")


def test_older_runs_took_any_folder_for_a_class(tmp_path: Path) -> None:
    root = put(tmp_path, "train/1.jpg", "plane/1.jpg", "test/1.jpg", "plane/2.jfif")
    (root / "__MACOSX").mkdir()
    found = read_folder(root, (ALL,), wanted=FolderOptions(by="suffix"))[ALL]
    assert found.class_names == ("__MACOSX", "plane", "test", "train")
    assert found.file_names == ("plane/1.jpg", "test/1.jpg", "train/1.jpg")


def test_classes_are_those_of_all_splits(tmp_path: Path) -> None:
    root = put(tmp_path, "train/ant/1.jpg", "train/cat/1.jpg", "val/bee/1.jpg")
    train, val = read_folder(root, ("train", "val")).values()
    assert train.class_names == val.class_names == ("ant", "bee", "cat")
    assert (train.labels_N.tolist(), val.labels_N.tolist()) == ([0, 2], [1])
    # Also when only one of them is read: a label means the same in both.
    assert read_folder(root, ("val",))["val"].labels_N.tolist() == [1]


def test_empty_class_folder_is_no_class_unless_it_was_one(tmp_path: Path) -> None:
    root = put(tmp_path, "b/1.jpg")
    (root / "a").mkdir()
    assert read_all(root).class_names == ("b",)
    images = read_folder(root, (ALL,), class_names=("a", "b"))[ALL]
    assert images.class_names == ("a", "b")
    assert images.labels_N.tolist() == [1]


@pytest.mark.parametrize("split", ["train", "val"])
def test_split_without_class_folders_is_refused(tmp_path: Path, split: str) -> None:
    other = {"train": "val", "val": "train"}[split]
    root = put(tmp_path, f"{other}/cat/1.jpg", f"{split}/1.jpg")
    with pytest.raises(DataError, match=f"class folders in {other} but none in {split}") as caught:
        folder_splits(root)
    assert caught.value.exit_code == 3
    assert [remedy.setting for remedy in caught.value.remedies] == ["data.dataset.labels"] * 2


def test_test_images_without_labels_are_no_split(tmp_path: Path) -> None:
    root = put(tmp_path, "train/cat/1.jpg", "val/cat/1.jpg", "test/1.jpg")  # as ILSVRC 2012 unpacks
    assert folder_splits(root) == ("train", "val")
    assert len(read_folder(root, ("val",))["val"]) == 1
    with pytest.raises(DataError, match="no split 'test'; it has train, val"):
        read_folder(root, ("test",))


def test_asked_for_a_split_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'val'; it has all"):
        read_folder(put(tmp_path, "cat/1.jpg"), ("val",))
    with pytest.raises(DataError, match="no split 'all'; it has train"):
        read_folder(put(tmp_path / "two", "train/cat/1.jpg"), (ALL,))


def test_no_such_root(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder: .*nowhere"):
        folder_splits(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"not a folder: .*file"):
        folder_splits(put(tmp_path, "file") / "file")
    with pytest.raises(DataError, match="has no class folders"):
        folder_splits(put(tmp_path / "flat", "1.jpg"))


def test_classes_without_a_single_image(tmp_path: Path) -> None:
    root = put(tmp_path, "train/cat/1.jpg", "val/cat/notes.txt")
    with pytest.raises(DataError, match=r"val has no image in its class folders \(1\)") as caught:
        read_folder(root, ("val",))
    assert caught.value.hint is not None
    assert ".jpg" in caught.value.hint


def test_hidden_nested_and_upper_case_names(tmp_path: Path) -> None:
    names = ("cat/.hidden.jpg", "cat/._1.jpg", "cat/.git/1.jpg", ".cache/1.jpg", "cat/B.JPEG")
    root = put(tmp_path, *names, "cat/a/2.Png", "cat/a/b/1.jpg", "cat/a.jpg")
    images = read_all(root)
    assert images.class_names == ("cat",)
    assert images.file_names == ("cat/B.JPEG", "cat/a.jpg", "cat/a/2.Png", "cat/a/b/1.jpg")


def test_every_suffix_is_one_that_pillow_reads(tmp_path: Path) -> None:
    assert set(SUFFIXES) <= Image.registered_extensions().keys()
    root = put(tmp_path, *(f"cat/1{suffix}" for suffix in SUFFIXES), "cat/1.txt", "cat/jpg")
    assert len(read_all(root)) == len(SUFFIXES)


def test_other_files_are_listed_in_order(tmp_path: Path) -> None:
    names = ("dog/1.jpg", "dog/x.txt", "cat/1.mat", "cat/a/Thumbs.db", "cat/.DS_Store", "cat/0.jpg", "README")
    root = put(tmp_path, *names)
    others = other_files(read_all(root))
    assert (others.num_files, sorted(others.first)) == (2, ["cat/1.mat", "dog/x.txt"])
    assert others.by_suffix == {".mat": 1, ".txt": 1}


def test_other_files_of_one_split(tmp_path: Path) -> None:
    root = put(tmp_path, "train/cat/1.jpg", "train/dog/1.txt", "val/cat/1.jpg", "val/cat/2.txt")
    assert other_files(read_folder(root, ("val",))["val"]).first == ["cat/2.txt"]


def test_classes_must_be_the_expected_ones(tmp_path: Path) -> None:
    root = put(tmp_path, "a/1.jpg", "c/1.jpg", "x/1.jpg")
    assert len(read_folder(root, (ALL,), class_names=("a", "c", "x"))[ALL]) == 3
    with pytest.raises(DataError, match=r"2 missing \(b, d\), 1 unknown \(x\)"):
        read_folder(root, (ALL,), class_names=("a", "b", "c", "d"))
    with pytest.raises(DataError, match=r"9 missing \(0, 1, 2, ...\), 3 unknown"):
        read_folder(root, (ALL,), class_names=tuple("012345678"))


class TestFingerprint:
    NAMES = ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg")

    def test_is_of_names_and_contents_only(self, tmp_path: Path) -> None:
        first = put(tmp_path / "first", *self.NAMES)
        second = put(tmp_path / "elsewhere" / "second", *reversed(self.NAMES))
        os.utime(second / "cat/1.jpg", (1, 1))
        put(second, "cat/notes.txt", "cat/.hidden.jpg")
        assert read_all(first).fingerprint == read_all(second).fingerprint
        assert len(read_all(first).fingerprint) == 64

    def test_stays_what_it_was(self, tmp_path: Path) -> None:
        # Held for good: runs and caches of logits are found by it.
        expected = "c29aebdace2343e6c7a7f5d7277e95090ab178a3077cf4860cd506f429989010"
        assert read_all(put(tmp_path, *self.NAMES)).fingerprint == expected

    def test_changes_with_a_byte(self, tmp_path: Path) -> None:
        root = put(tmp_path, *self.NAMES)
        before = read_all(root).fingerprint
        (root / "dog/1.jpg").write_bytes(b"dog/2.jpg")
        assert read_all(root).fingerprint != before

    def test_changes_with_a_name(self, tmp_path: Path) -> None:
        root = put(tmp_path, *self.NAMES)
        before = read_all(root).fingerprint
        (root / "dog/1.jpg").rename(root / "dog/1.png")
        assert read_all(root).fingerprint != before

    def test_changes_with_a_label(self, tmp_path: Path) -> None:
        root = put(tmp_path, *self.NAMES)
        before = read_all(root)
        (root / "ant").mkdir()  # the same files under the same names, but every label is one more
        after = read_folder(root, (ALL,), class_names=("ant", "cat", "dog"))[ALL]
        assert after.file_names == before.file_names
        assert after.fingerprint != before.fingerprint

    def test_changes_when_two_contents_are_exchanged(self, tmp_path: Path) -> None:
        root = put(tmp_path, *self.NAMES)
        before = read_all(root).fingerprint
        (root / "cat/1.jpg").write_bytes(b"cat/2.jpg")
        (root / "cat/2.jpg").write_bytes(b"cat/1.jpg")
        assert read_all(root).fingerprint != before

    def test_is_of_one_split(self, tmp_path: Path) -> None:
        root = put(tmp_path, "train/cat/1.jpg", "val/cat/1.jpg")
        before = read_folder(root, ("val",))["val"].fingerprint
        put(root, "train/cat/2.jpg")
        assert read_folder(root, ("val",))["val"].fingerprint == before


class TestLinks:
    def test_links_to_files_and_class_folders_are_followed(self, tmp_path: Path) -> None:
        store = put(tmp_path / "store", "1.jpg", "cats/2.jpg")
        root = put(tmp_path / "root", "dog/1.jpg")
        (root / "dog/linked.jpg").symlink_to(store / "1.jpg")
        (root / "cat").symlink_to(store / "cats")
        assert read_all(root).file_names == ("cat/2.jpg", "dog/1.jpg", "dog/linked.jpg")

    def test_a_circle_ends(self, tmp_path: Path) -> None:
        root = put(tmp_path, "cat/1.jpg", "cat/in/2.jpg")
        (root / "cat/in/loop").symlink_to(root / "cat")
        images = read_all(root)
        assert images.file_names == ("cat/1.jpg", "cat/in/2.jpg")
        assert other_files(images).linked_folders == ["cat/in/loop"]
        (root / "up").symlink_to(root)  # now a class: its images are those of the root's folders
        assert "up/cat/1.jpg" in read_all(root).file_names

    def test_a_link_to_itself_is_named(self, tmp_path: Path) -> None:
        root = put(tmp_path, "cat/1.jpg")
        (root / "loop").symlink_to(root / "loop")
        assert folder_splits(root) == ("all",)
        survey = ImageFolderSpec().survey(root)
        assert survey is not None
        with pytest.raises(DataError, match="loop is a link to a place that is not there"):
            survey.require_trainable()

    def test_all_that_cannot_be_read_are_counted(self, tmp_path: Path) -> None:
        root = put(tmp_path, "cat/1.jpg", "dog/9.jpg")
        for number in range(2, 7):
            (root / f"cat/{number}.jpg").symlink_to(tmp_path / "nowhere")
        with pytest.raises(
            DataError, match=r"5 of the 7 image files in .* cannot be read: cat/2.jpg"
        ) as caught:
            read_all(root)
        assert "cat/4.jpg (No such file or directory), ..." in str(caught.value)


def test_a_folder_called_as_an_image_is_a_folder(tmp_path: Path) -> None:
    root = put(tmp_path, "cat/album.jpg/1.jpg")
    assert read_all(root).file_names == ("cat/album.jpg/1.jpg",)


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    root = put(tmp_path, "cat/1.jpg")
    try:
        shutil.copy(root / "cat/1.jpg", os.fsencode(root / "cat") + b"/\xff.jpg")
    except OSError:
        pytest.skip("this file system has Unicode names only")
    images = read_all(root)
    assert images.file_names == ("cat/1.jpg", "cat/\udcff.jpg")
    assert len(images.fingerprint) == 64


def test_a_pipe_by_an_images_name_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "a" / "x.jpg")
    os.mkfifo(tmp_path / "a" / "y.jpg")
    (files,) = read_folder(tmp_path, ("all",)).values()
    assert files.file_names == ("a/x.jpg",)
    assert other_files(files).first == ["a/y.jpg"]
