from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.folders.survey import Survey
from rescli.errors import DataError
from rescli.report.survey import survey_lines

Put = Callable[..., Path]


def survey_of(root: Path, **keys: object) -> Survey:
    found = ImageFolderSpec.model_validate({"kind": "imagefolder", **keys}).survey(root)
    assert found is not None
    return found


def refused(root: Path, **keys: object) -> str:
    with pytest.raises(DataError) as caught:
        survey_of(root, **keys).require_trainable()
    return str(caught.value)


def test_everything_odd_is_named_in_one_screen(torture: Path) -> None:
    lines = survey_lines(survey_of(torture))
    assert len(lines) <= 40
    text = "\n".join(lines)
    for words in (
        "7 classes",
        "train  108 images",
        "train is the folder Train",
        "val is the folder validation",
        "test: its images have no labels",
        "extra: a folder with images that belongs to no split",
        "1 image of train in no class folder: loose.jpg",
        "folders of a system, which are no classes: @eaDir",
        "files that are no images",
        ".xml",
        "images that need a plugin of Pillow are left out: 1 .heic",
        "1 class without an image anywhere: empty",
        "classes that differ in spelling alone: Dog, dog",
        "BACKGROUND_Google is trained as a class like any other",
        "1 class of fewer than 5 training images: emu 1",
        "the classes are uneven: from 1 (emu)",
        "classes whose images lie in several folders below: bird",
        "val has no image of 3 classes: BACKGROUND_Google, emu, 猫 und é",
        "train: 1 image cannot be opened: cat/page.jpg",
        "val: 1 image cannot be opened: cat/zero.png",
        "train: 1 image with an EXIF orientation",
        "train: 1 image far longer than wide: dog/thin.png (1000x1)",
        "val: 1 image far longer than wide: dog/panorama.png (1200x20)",
        "train: 1 image in grey of 16 bits",
        "train: 1 image with numbers of 32 bits",
        "half of the images have a shorter side of 30 pixels or less",
        "JPEG and 4 other formats",
    ):
        assert words in text
    assert "refused" not in text


def test_classes_that_train_lacks(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/bee/1.jpg", "train/ant/1.jpg", "val/Bee/1.jpg")
    told = refused(tmp_path)
    assert told.startswith("val has 1 class that train lacks: Bee (Bee: did you mean bee?): rename")
    put_files(tmp_path / "t", "train/n1/1.jpg", "train/n2/1.jpg", "val/images/1.jpg")
    assert "val has 1 class that train lacks: images: has it a table of labels" in refused(tmp_path / "t")


def test_one_class(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "imagenette2/train/a/1.jpg", "imagenette2/val/a/1.jpg")
    with pytest.raises(DataError, match="one class, imagenette2, and a net needs two") as caught:
        survey_of(tmp_path).require_trainable()
    (remedy,) = caught.value.remedies
    assert (remedy.setting, remedy.value) == ("data_root", tmp_path / "imagenette2")


def test_no_image_says_what_there_is(tmp_path: Path) -> None:
    for name in ("a/1.heic", "b/2.heic"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic")
    assert "its images need a plugin of Pillow" in refused(tmp_path)
    (tmp_path / "c/x").mkdir(parents=True)
    (tmp_path / "c/x/batch.bin").touch()
    assert "there are only files that are no images: 1 .bin" in refused(tmp_path / "c")


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


def test_the_folder_of_runs_is_no_class(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "a/1.jpg", "b/1.jpg", "runs/one/curves.png")
    (tmp_path / "runs/one/spec.toml").touch()
    survey = survey_of(tmp_path)
    assert survey.class_names == ("a", "b")
    assert "runs: runs of rescli, no class" in [finding.text for finding in survey.findings]


def test_train_itself_beside_a_val(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/b/1.jpg")
    texts = [finding.text for finding in survey_of(tmp_path / "train").findings]
    assert "beside train lies val, which is not used" in texts


@pytest.mark.parametrize(
    ("side", "image_size", "proposed"),
    [(8, 224, [64]), (8, 64, []), (8, 32, None), (30, 64, []), (40, 96, [64]), (50, 64, None)],
)
def test_a_size_for_small_images_is_a_smaller_one(
    tmp_path: Path, side: int, image_size: int, proposed: list[int] | None
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.new("RGB", (side, side)).save(tmp_path / name / "1.png")
    found = [one for one in survey_of(tmp_path, image_size=image_size).findings if "enlarged" in one.text]
    assert [[way.value for way in one.remedies] for one in found] == ([] if proposed is None else [proposed])
    assert all(one.remedies or "imagefolder/32" in one.sentence for one in found)


def test_links_to_nothing_are_refused(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "a/2.jpg").symlink_to(tmp_path / "nowhere")
    assert "1 image by name, but only a link to nothing: a/2.jpg" in refused(tmp_path)


@pytest.mark.parametrize(
    ("link", "exclude"), [("train/pump", "pump"), ("val/pump", "pump"), ("val", "val"), ("test", "test")]
)
def test_a_folder_that_is_a_dead_link_is_refused(
    tmp_path: Path, put_files: Put, link: str, exclude: str
) -> None:
    put_files(tmp_path, "train/a/1.jpg", "train/b/1.jpg", *(["val/a/1.jpg"] if link != "val" else []))
    (tmp_path / link).symlink_to("/nowhere/unplugged")
    (tmp_path / "README").symlink_to("/nowhere/unplugged")
    assert f"{link} is a link to a place that is not there: mount the disk" in refused(tmp_path)
    assert not survey_of(tmp_path, exclude=[exclude]).refusals


def test_a_class_of_the_root_that_is_a_dead_link_is_refused(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "pump").symlink_to("/nowhere/unplugged")
    assert "pump is a link to a place that is not there" in refused(tmp_path)
    assert survey_of(tmp_path, exclude=["pump"]).class_names == ("a", "b")
    (tmp_path / "all").mkdir()
    (tmp_path / "all/pump").symlink_to("/nowhere/unplugged")
    assert "links to places that are not there: pump." in refused(tmp_path / "all")


def test_names_that_are_no_utf8(tmp_path: Path, put_files: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put_files(tmp_path, "caf\udce9/1.jpg", "b/1.jpg")
    assert r"1 class with a name that is no UTF-8: caf\xe9: rename the folder" in refused(tmp_path)
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "ascii")
    assert "PYTHONUTF8=1" in refused(tmp_path)


def test_it_is_json(torture: Path) -> None:
    import json

    told = json.loads(json.dumps(survey_of(torture).to_dict(), ensure_ascii=True))
    assert told["splits"][1]["folder"] == "validation"
    assert {finding["kind"] for finding in told["findings"]} == {"note", "left out", "odd"}


class TestSpec:
    def test_held_out_images_are_of_every_class_in_proportion(self, tmp_path: Path, put_files: Put) -> None:
        put_files(tmp_path, *(f"a/{n}.jpg" for n in range(40)), *(f"b/{n}.jpg" for n in range(10)))
        spec = ImageFolderSpec().resolved(tmp_path)
        assert (spec.num_train, spec.num_val, spec.held_out, spec.stratified) == (45, 5, True, True)
        val = spec.build(tmp_path, ("val",))["val"]
        assert val.labels_N.tolist() == [0, 0, 0, 0, 1]

    def test_older_runs_keep_theirs(self, tmp_path: Path, put_files: Put) -> None:
        names = [*(f"a/{number}.jpg" for number in range(40)), *(f"b/{number}.jpg" for number in range(10))]
        put_files(tmp_path, *names, "b/x.jfif")
        old = ImageFolderSpec(classes=("a", "b"), num_train=45, num_val=5, held_out=True)
        found = old.build(tmp_path, ("train", "val"))
        # As the version before these keys existed drew them, held for good.
        assert found["val"].file_names == ("a/10.jpg", "a/18.jpg", "a/34.jpg", "b/7.jpg", "b/9.jpg")
        assert len(found["train"]) == 45

    def test_keys_that_were_given_stay(self, tmp_path: Path, put_files: Put) -> None:
        put_files(tmp_path, *(f"a/{n}.jpg" for n in range(20)), "b/1.jpg", "b/2.jfif")
        given = {"kind": "imagefolder", "images_by": "suffix", "stratified": False}
        spec = ImageFolderSpec.model_validate(given).resolved(tmp_path)
        assert (spec.images_by, spec.stratified, spec.num_train) == ("suffix", False, 19)

    def test_an_unknown_name_to_exclude(self, tmp_path: Path, put_files: Put) -> None:
        put_files(tmp_path, "ant/1.jpg", "bee/1.jpg", "background/1.jpg")
        assert "no folder or class Background; did you mean background?" in refused(
            tmp_path, exclude=["Background"]
        )
        assert survey_of(tmp_path, exclude=["background"]).class_names == ("ant", "bee")


def test_test_classes_that_train_lacks(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "test/c/1.jpg", "test/d/1.jpg")
    assert "test: its folders are no classes of train: c, d" in [
        one.text for one in survey_of(tmp_path).findings
    ]
    put_files(tmp_path, "test/a/1.jpg")
    (odd,) = [
        one for one in survey_of(tmp_path).findings if one.text.startswith("test has 2 classes that train")
    ]
    assert odd.remedies[0].value == ("c", "d")


def test_a_link_to_a_folder_is_not_followed_and_said(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "a/more").symlink_to(tmp_path / "b")
    texts = [finding.text for finding in survey_of(tmp_path).findings]
    assert "links to folders, which are not followed: a/more" in texts


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


def test_a_column_of_splits_and_masks_are_said(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "1.jpg", "2.jpg", "1_mask.jpg")
    (tmp_path / "meta.csv").write_text("file,label,split\n1.jpg,a,train\n2.jpg,b,val\n1_mask.jpg,a,train\n")
    texts = [finding.text for finding in survey_of(tmp_path).findings]
    assert "its column split is not used: all of its images are one split" in texts
    assert "all: 1 image called as masks of others are trained on like any other: 1_mask.jpg" in texts
