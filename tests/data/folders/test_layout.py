from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rescli.data.folders.layout import FolderOptions, find_layout
from rescli.errors import DataError

Put = Callable[..., Path]


def places(root: Path, wanted: FolderOptions | None = None) -> dict[str, str]:
    parts = find_layout(root, wanted or FolderOptions()).parts
    return {split: str(part.place.relative_to(root)) for split, part in parts.items()}


@pytest.mark.parametrize("val", ["valid", "Val", "validation", "validation_set"])
def test_splits_in_any_usual_spelling(tmp_path: Path, put_files: Put, val: str) -> None:
    put_files(tmp_path, "Train/a/1.jpg", "Train/b/1.jpg", f"{val}/a/2.jpg", f"{val}/b/2.jpg")
    assert places(tmp_path) == {"train": "Train", "val": val}


def test_two_folders_for_one_split(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/2.jpg", "valid/a/2.jpg")
    with pytest.raises(DataError, match="2 folders that could be val: val, valid") as caught:
        find_layout(tmp_path, FolderOptions())
    assert [str(one.value) for one in caught.value.remedies] == ["val", "valid"]
    assert places(tmp_path, FolderOptions(folders={"val": "valid"})) == {"train": "train", "val": "valid"}
    assert places(tmp_path, FolderOptions(exclude=("valid",))) == {"train": "train", "val": "val"}


def test_an_empty_split_is_none(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/a/1.jpg", "train/b/1.jpg")
    (tmp_path / "val").mkdir()
    assert places(tmp_path) == {"train": "train"}


def test_folders_that_somebody_named(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "seg_train/seg_train/a/1.jpg", "seg_train/seg_train/b/1.jpg", "seg_test/a/1.jpg")
    wanted = FolderOptions(folders={"train": "seg_train/seg_train", "val": "seg_test"})
    assert places(tmp_path, wanted) == {"train": "seg_train/seg_train", "val": "seg_test"}
    with pytest.raises(DataError, match=r"no folder 'nope'; it has seg_test, seg_train"):
        find_layout(tmp_path, FolderOptions(folders={"val": "nope"}))


def test_tiny_imagenet(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/n1/images/n1_0.JPEG", "train/n2/images/n2_0.JPEG", "test/images/test_0.JPEG")
    put_files(tmp_path, "val/images/val_0.JPEG", "val/images/val_1.JPEG")
    (tmp_path / "val/val_annotations.txt").write_text(
        "val_0.JPEG\tn2\t0\t32\t44\t62\nval_1.JPEG\tn1\t52\t55\t57\t59\n"
    )
    (tmp_path / "words.txt").write_text("n1\tgoldfish\nn2\tfire salamander\n")
    layout = find_layout(tmp_path, FolderOptions())
    assert places(tmp_path) == {"train": "train", "val": "val/images"}
    labels = layout.parts["val"].labels
    assert labels is not None
    assert labels.by_name == {"val_0.JPEG": "n2", "val_1.JPEG": "n1"}
    assert layout.unlabelled == tmp_path / "test"


def test_kaggle_with_a_table_for_train_and_a_form_for_test(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/0a.jpg", "train/0b.jpg", "test/1a.jpg")
    (tmp_path / "labels.csv").write_text("id,breed\n0a,beagle\n0b,pug\n")
    (tmp_path / "sample_submission.csv").write_text("id,beagle,pug\n1a,0.5,0.5\n")
    layout = find_layout(tmp_path, FolderOptions())
    assert list(layout.parts) == ["train"]
    labels = layout.parts["train"].labels
    assert labels is not None
    assert labels.by_name == {"0a.jpg": "beagle", "0b.jpg": "pug"}
    assert layout.unlabelled == tmp_path / "test"


def test_a_folder_of_images_and_a_table_beside_it(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "images/1.jpg", "images/2.jpg")
    (tmp_path / "data.csv").write_text("path,label\nimages/1.jpg,a\nimages/2.jpg,b\n")
    assert places(tmp_path) == {"all": "images"}


def test_the_class_in_the_name_only_where_it_is_asked_for(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "Abyssinian_1.jpg", "Abyssinian_2.jpg", "great_dane_10.jpg")
    with pytest.raises(DataError, match="no class folders: 3 images lie in it") as caught:
        find_layout(tmp_path, FolderOptions())
    first = caught.value.remedies[0]
    assert (first.setting, first.value) == ("data.dataset.labels", "names")
    assert first.note == "2 classes: Abyssinian, great_dane"
    labels = find_layout(tmp_path, FolderOptions(labels="names")).parts["all"].labels
    assert labels is not None
    assert set(labels.by_name.values()) == {"Abyssinian", "great_dane"}


def test_a_folder_of_a_contest_is_labelled_by_names(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/cat.0.jpg", "train/dog.0.jpg", "test1/1.jpg", "test1/2.jpg")
    with pytest.raises(DataError, match="images without classes in train") as caught:
        find_layout(tmp_path, FolderOptions())
    assert [remedy.value for remedy in caught.value.remedies] == ["names", "FILE"]
    layout = find_layout(tmp_path, FolderOptions(labels="names"))
    assert (list(layout.parts), layout.unused) == (["train"], ("test1",))
    put_files(tmp_path, "more/1.jpg")
    with pytest.raises(DataError) as caught:
        find_layout(tmp_path, FolderOptions())
    assert [remedy.value for remedy in caught.value.remedies] == ["names", ("train",)]


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="is an archive") as caught:
        find_layout(tmp_path / "photos.zip", FolderOptions())
    assert caught.value.hint is not None
    with pytest.raises(DataError, match="no class folders") as caught:
        find_layout(tmp_path, FolderOptions())
    assert caught.value.hint == "unpack photos.zip first"


def test_a_splits_name_is_no_class(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "cat/1.jpg", "test/1.jpg")
    with pytest.raises(DataError, match="images without classes in test") as caught:
        find_layout(tmp_path, FolderOptions())
    assert [remedy.setting for remedy in caught.value.remedies] == ["data.dataset.exclude"]
    put_files(tmp_path / "dogs", "train/cat.1.jpg", "train/dog.1.jpg", "test/1.jpg")
    with pytest.raises(DataError, match="images without classes in test, train") as caught:
        find_layout(tmp_path / "dogs", FolderOptions())
    assert [remedy.value for remedy in caught.value.remedies] == ["names", "FILE"]
    layout = find_layout(tmp_path / "dogs", FolderOptions(labels="names"))
    assert (list(layout.parts), layout.unlabelled) == (["train"], tmp_path / "dogs/test")


@pytest.mark.parametrize(
    ("folder", "why"),
    [(".", "not one below"), ("../n", "not one below"), ("/tmp", "not one below"), ("x", "no folder")],
)
def test_folders_that_are_none_of_the_root(tmp_path: Path, put_files: Put, folder: str, why: str) -> None:
    root = put_files(tmp_path / "root", "train/a/1.jpg", "train/b/1.jpg")
    put_files(tmp_path, "n/a/1.jpg")
    with pytest.raises(DataError, match=why):
        find_layout(root, FolderOptions(folders={"val": folder}))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_named_folder_without_class_folders_is_refused(tmp_path: Path, put_files: Put, split: str) -> None:
    put_files(tmp_path, "cat/1.jpg", "dog/1.jpg", "flat/1.jpg")
    with pytest.raises(DataError, match=f"folder flat for {split} has no class folders"):
        find_layout(tmp_path, FolderOptions(folders={split: "flat"}))


def test_one_folder_is_not_two_splits(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/a/1.jpg", "train/b/1.jpg")
    with pytest.raises(DataError, match="cannot both be the folder train"):
        find_layout(tmp_path, FolderOptions(folders={"train": "train", "val": "./train"}))


def test_a_split_may_be_a_link(tmp_path: Path, put_files: Put) -> None:
    root = put_files(tmp_path / "root", "train/a/1.jpg", "train/b/1.jpg")
    put_files(tmp_path / "elsewhere", "a/1.jpg")
    (root / "checked").symlink_to(tmp_path / "elsewhere")
    assert places(root, FolderOptions(folders={"val": "checked"}))["val"] == "checked"


def test_a_table_outside_the_root_is_not_looked_at(tmp_path: Path, put_files: Put) -> None:
    root = put_files(tmp_path / "root", "1.jpg", "2.jpg")
    (tmp_path / "scores.csv").write_text("1.jpg,good\n2.jpg,bad\n")
    with pytest.raises(DataError, match="no class folders"):
        find_layout(root, FolderOptions())


def test_valid_and_invalid_are_classes(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "valid/1.jpg", "invalid/1.jpg")
    assert places(tmp_path) == {"all": "."}


def test_older_runs_know_the_exact_names_alone(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/a/1.jpg", "valid/a/1.jpg")
    assert places(tmp_path, FolderOptions(by="suffix")) == {"train": "train"}
    put_files(tmp_path / "q", "Train/1.jpg", "Val/1.jpg")
    assert places(tmp_path / "q", FolderOptions(by="suffix")) == {"all": "."}
