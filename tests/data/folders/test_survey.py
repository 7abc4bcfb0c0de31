from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from surveys import refused, survey_of

from rescli.data.folders.specs import ImageFolderSpec
from rescli.errors import DataError
from rescli.report.survey import survey_lines

Put = Callable[..., Path]


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


def test_the_folder_of_runs_is_no_class(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "a/1.jpg", "b/1.jpg", "runs/one/curves.png")
    (tmp_path / "runs/one/spec.toml").touch()
    survey = survey_of(tmp_path)
    assert survey.class_names == ("a", "b")
    assert "runs: runs of rescli, no class" in [finding.text for finding in survey.findings]


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


def test_a_column_of_splits_and_masks_are_said(tmp_path: Path, put_files: Put) -> None:
    put_files(tmp_path, "1.jpg", "2.jpg", "1_mask.jpg")
    (tmp_path / "meta.csv").write_text("file,label,split\n1.jpg,a,train\n2.jpg,b,val\n1_mask.jpg,a,train\n")
    texts = [finding.text for finding in survey_of(tmp_path).findings]
    assert "its column split is not used: all of its images are one split" in texts
    assert "all: 1 image called as masks of others are trained on like any other: 1_mask.jpg" in texts
