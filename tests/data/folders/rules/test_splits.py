"""Which folders are splits and which are classes, by their names and by what lies in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from surveys import refused, survey_of

from rescli.errors import DataError

Put = Callable[..., Path]


def test_splits_by_names_that_nobody_knows(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, *(f"{split}/{name}/1.jpg" for split in ("fold1", "fold2") for name in ("a", "b")))
    told = refused(tmp_path)
    assert told.startswith(
        "fold1, fold2 look like splits, not classes: each has the folders a, b: name both folders"
    )
    survey = survey_of(tmp_path, train_folder="fold1", val_folder="fold2")
    assert survey.counts == {"train": 2, "val": 2}
    assert not survey.refusals


def test_classes_with_the_same_folders_in_each_have_a_way_out(tmp_path: Path, put_files: Put) -> None:
    names = [f"{name}/{side}/1.jpg" for name in ("cat", "dog") for side in ("front", "left")]
    put_files(tmp_path / "flat", *names)
    with pytest.raises(DataError, match="cat, dog could be classes or splits: each has the") as caught:
        survey_of(tmp_path / "flat").require_trainable()
    assert [(one.setting, one.value) for one in caught.value.remedies] == [("data.dataset.train_folder", ".")]
    flat = survey_of(tmp_path / "flat", train_folder=".")
    assert (flat.class_names, flat.counts, flat.refusals) == (("cat", "dog"), {"train": 4}, ())
    put_files(tmp_path / "deep", *(f"train/{name}" for name in names))
    survey = survey_of(tmp_path / "deep")
    assert survey.class_names == ("cat", "dog")
    assert not survey.refusals


def test_a_split_by_another_name_beside_train(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "heldout/a/1.jpg", "heldout/b/1.jpg")
    assert "heldout looks like a split" in refused(tmp_path)
    assert survey_of(tmp_path, val_folder="heldout").counts == {"train": 2, "val": 2}
    assert survey_of(tmp_path, exclude=["heldout"]).counts == {"train": 2}


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("seg_train", "seg_test"), {"train": "seg_train", "test": "seg_test"}),
        (("fotos", "prueba"), {"train": "fotos", "test": "prueba"}),
        (("x_train", "x_dev", "x_tst"), {"train": "x_train", "val": "x_dev", "test": "x_tst"}),
        (("fold1", "fold2", "fold3"), {"train": "fold1", "val": "fold2"}),
    ],
)
def test_a_folder_like_test_is_not_validated_on(
    tmp_path: Path, put_files: Put, names: tuple[str, ...], splits: dict[str, str]
) -> None:
    put_files(tmp_path, *(f"{split}/{name}/1.jpg" for split in names for name in ("a", "b")))
    with pytest.raises(DataError) as caught:
        survey_of(tmp_path).require_trainable()
    told = {one.setting.removeprefix("data.dataset."): one.value for one in caught.value.remedies}
    assert told == {f"{split}_folder": name for split, name in splits.items()}
    assert not survey_of(tmp_path, **told).refusals


def test_a_folder_like_test_beside_train(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, *(f"{split}/{name}/1.jpg" for split in ("train", "tst") for name in ("a", "b")))
    with pytest.raises(DataError) as caught:
        survey_of(tmp_path).require_trainable()
    assert [one.setting for one in caught.value.remedies] == [
        "data.dataset.test_folder",
        "data.dataset.exclude",
    ]
    assert survey_of(tmp_path, test_folder="tst").counts == {"train": 2, "test": 2}


def test_val_inside_train_is_no_class(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, *(f"train/{at}{name}/1.jpg" for at in ("", "val/") for name in ("a", "b")))
    with pytest.raises(DataError, match="train/val would be a class, and looks like a split") as caught:
        survey_of(tmp_path).require_trainable()
    assert [(one.setting, one.value) for one in caught.value.remedies] == [
        ("data.dataset.val_folder", "train/val"),
        ("data.dataset.exclude", ("val",)),
    ]
    named = survey_of(tmp_path, val_folder="train/val")
    assert (named.counts, named.class_names, named.refusals) == ({"train": 2, "val": 2}, ("a", "b"), ())
    assert survey_of(tmp_path, exclude=["val"]).counts == {"train": 2}


def test_val_inside_train_beside_a_val(tmp_path: Path, put_files: Put) -> None:
    put_files(
        tmp_path, *(f"{at}/{name}/1.jpg" for at in ("train", "train/val", "val") for name in ("a", "b"))
    )
    with pytest.raises(DataError, match="train/val would be a class") as caught:
        survey_of(tmp_path).require_trainable()
    (remedy,) = caught.value.remedies
    assert (remedy.value, remedy.also) == (("val",), {"data.dataset.val_folder": "val"})
    named = survey_of(tmp_path, exclude=["val"], val_folder="val")
    assert (named.counts, named.refusals) == ({"train": 2, "val": 2}, ())


def test_a_class_called_as_a_split_is_may_have_folders_of_its_own(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "train/test/rig/1.jpg")
    assert not survey_of(tmp_path).refusals


def test_the_classes_of_the_root_beside_a_val(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "a/1.jpg", "b/1.jpg", "val/a/1.jpg", "val/b/1.jpg", "runs/one/curves.png")
    (tmp_path / "runs/one/spec.toml").touch()
    with pytest.raises(DataError, match="no training images: val only") as caught:
        survey_of(tmp_path).require_trainable()
    assert caught.value.remedies[0].value == "."
    named = survey_of(tmp_path, train_folder=".")
    assert (named.counts, named.class_names, named.refusals) == ({"train": 2, "val": 2}, ("a", "b"), ())


def test_train_itself_beside_a_val(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/b/1.jpg")
    texts = [finding.text for finding in survey_of(tmp_path / "train").findings]
    assert "beside train lies val, which is not used" in texts


@pytest.mark.parametrize(
    ("names", "told", "remedies"),
    [
        (
            [
                "seg_pred/seg_pred/1.jpg",
                *(f"seg_{s}/seg_{s}/{c}/1.jpg" for s in ("train", "test") for c in "ab"),
            ],
            "seg_test, seg_train look like splits, not classes: each has the folders a, b",
            ["seg_train/seg_train", "seg_test/seg_test"],
        ),
        ([f"{s}/{c}/1.jpg" for s in ("trn", "tst") for c in "ab"], "trn, tst look like", ["trn", "tst"]),
        (
            [f"{s}/{c}/1.jpg" for s in ("fotos", "prueba") for c in "ab"],
            "fotos, prueba look like splits",
            ["fotos", "prueba"],
        ),
        (
            [
                f"fold_{fold}/{split}/{name}/1.jpg"
                for fold in "12"
                for split in ("train", "val")
                for name in "ab"
            ],
            "fold_1, fold_2 are no classes: each holds the splits train, val",
            ["fold_1"],
        ),
        (["train_images/1.jpg", "test_images/2.jpg"], "test_images, train_images are called as splits", []),
        (["part_1/1.jpg", "part_2/2.jpg"], "part_1, part_2 are called as parts of a download", ["part_1"]),
        (
            ["images/1.jpg", "annotations/trimaps/1.png"],
            "annotations, images are called as parts",
            ["images"],
        ),
        (
            ["a/b/c/train/cat/1.jpg", "a/b/c/train/dog/1.jpg", "a/b/c/val/cat/1.jpg"],
            "one class, a",
            ["a/b/c"],
        ),
    ],
)
def test_folders_of_a_download_are_no_classes(
    tmp_path: Path, put_files: Put, names: list[str], told: str, remedies: list[str]
) -> None:
    put_files(tmp_path, *names)
    with pytest.raises(DataError) as caught:
        survey_of(tmp_path).require_trainable()
    assert told in str(caught.value)
    found = [str(remedy.value).removeprefix(f"{tmp_path}/") for remedy in caught.value.remedies]
    assert found == remedies


def test_words_that_are_no_splits(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "bullet train/1.jpg", "steam train/1.jpg", "imaging/1.jpg", "bus/1.jpg")
    assert not survey_of(tmp_path).refusals


def test_one_class_may_be_called_as_a_part_of_a_download_is(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "mask/1.jpg", "no_mask/1.jpg")
    survey = survey_of(tmp_path)
    assert not survey.refusals
    (finding,) = [finding for finding in survey.findings if "download" in finding.text]
    assert (finding.kind, finding.text) == (
        "odd",
        "mask is called as parts of a download are, and taken for a class",
    )
    assert finding.remedies == ()  # one class would be left


def test_parts_of_a_download_beside_classes_can_be_left_out(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "images/1.jpg", "labels/1.jpg", "cat/1.jpg", "dog/1.jpg")
    with pytest.raises(DataError) as caught:
        survey_of(tmp_path).require_trainable()
    assert ("images", "labels") in [remedy.value for remedy in caught.value.remedies]
    assert not survey_of(tmp_path, exclude=("images", "labels")).refusals


def test_parts_of_a_download_are_labelled_together(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "part_1/x1.jpg", "part_1/x2.jpg", "part_2/x3.jpg", "part_2/x4.jpg")
    rows = "".join(f"x{number},{('nv', 'mel')[number % 2]},male\n" for number in range(1, 5))
    (tmp_path / "meta.csv").write_text(f"image_id,dx,sex\n{rows}")
    survey = survey_of(tmp_path, labels="meta.csv:dx")
    assert survey.splits[0].per_class == {"mel": 2, "nv": 2}
    assert survey.splits[0].labelled_by == "meta.csv, column dx"
