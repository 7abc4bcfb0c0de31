from __future__ import annotations

from pathlib import Path

import pytest

from rescli.data.folders.labels import find_labels_file, labels_from_names, read_labels_file
from rescli.errors import DataError

IMAGES = ["1.jpg", "2.jpg", "3.jpg"]


def table(folder: Path, text: str, name: str = "labels.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    "text",
    [
        "1.jpg,cat\n2.jpg,dog\n3.jpg,cat\n",
        "id,breed\n1,cat\n2,dog\n3,cat\n",
        "\ufefffile;class\r\n1.jpg;cat\r\n2.jpg;dog\r\n3.jpg;cat\r\n",
        "filename\tlabel\n1.jpg\tcat\n2.jpg\tdog\n3.jpg\tcat\n",
        "1.jpg cat\n2.jpg dog\n3.jpg cat\n",
        "width,filename,height,label\n4,train/1.jpg,4,cat\n4,train\\2.jpg,4,dog\n4,3.jpg,4,cat\n",
        "filename,cat,dog\n1.jpg,1,0\n2.jpg,0,1\n3.jpg,1,0\n",
        "1.jpg\tcat\t0\t32\t44\t62\n2.jpg\tdog\t0\t0\t1\t1\n3.jpg\tcat\t0\t0\t1\t1\n",
    ],
)
def test_tables_as_people_have_them(tmp_path: Path, text: str) -> None:
    table(tmp_path, text)
    labels = find_labels_file(IMAGES, [tmp_path], split="train")
    assert labels is not None
    assert labels.by_name == {"1.jpg": "cat", "2.jpg": "dog", "3.jpg": "cat"}
    assert labels.without == ()


def test_a_column_is_asked_for_where_several_could_be_it(tmp_path: Path) -> None:
    path = table(tmp_path, "file,colour,shape\n1.jpg,red,round\n2.jpg,blue,round\n3.jpg,red,square\n")
    with pytest.raises(DataError, match="which of its columns has their classes is not clear") as caught:
        find_labels_file(IMAGES, [tmp_path], split="train")
    (remedy,) = caught.value.remedies
    assert (remedy.setting, remedy.value) == ("data.dataset.labels", "labels.csv:COLUMN")
    assert read_labels_file(path, "shape", IMAGES).by_name["3.jpg"] == "square"
    with pytest.raises(DataError, match="no column 'size'; it has file, colour, shape"):
        read_labels_file(path, "size", IMAGES)


def test_an_image_of_two_classes_is_refused(tmp_path: Path) -> None:
    table(tmp_path, "1.jpg,cat\n1.jpg,dog\n2.jpg,dog\n3.jpg,cat\n")
    with pytest.raises(DataError, match=r"gives 1.jpg two classes: cat and dog"):
        find_labels_file(IMAGES, [tmp_path], split="train")
    table(tmp_path, "filename,cat,dog\n1.jpg,1,1\n2.jpg,0,1\n3.jpg,1,0\n")
    with pytest.raises(DataError, match=r"gives 1.jpg 2 classes"):
        find_labels_file(IMAGES, [tmp_path], split="train")


def test_images_without_a_label_are_named(tmp_path: Path) -> None:
    table(tmp_path, "1.jpg,cat\n2.jpg,dog\n")
    labels = find_labels_file(IMAGES, [tmp_path], split="train")
    assert labels is not None
    assert labels.without == ("3.jpg",)


def test_other_tables_are_none(tmp_path: Path) -> None:
    table(tmp_path, "n1\tgoldfish\nn2\tsalamander\n", "words.txt")
    table(tmp_path, "some words on the data\n", "README.txt")
    (tmp_path / "scores.csv").write_bytes(b"\xff\xfe\0\0")
    assert find_labels_file(IMAGES, [tmp_path], split="train") is None
    table(tmp_path, "1.jpg,emu\n2.jpg,owl\n3.jpg,owl\n")
    assert find_labels_file(IMAGES, [tmp_path], split="val", known_classes=["cat"]) is None


def test_the_splits_own_table_is_preferred(tmp_path: Path) -> None:
    table(tmp_path, "1.jpg,a\n2.jpg,a\n3.jpg,a\n", "all.csv")
    table(tmp_path, "1.jpg,b\n2.jpg,b\n3.jpg,b\n", "val.csv")
    labels = find_labels_file(IMAGES, [tmp_path], split="val")
    assert labels is not None
    assert set(labels.by_name.values()) == {"b"}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Abyssinian_12.jpg", "Abyssinian"),
        ("cat.3.jpg", "cat"),
        ("great pyrenees (7).png", "great pyrenees"),
        ("dog-004.jpg", "dog"),
        ("b2_77.jpg", "b2"),
    ],
)
def test_the_beginning_of_a_name(name: str, label: str) -> None:
    assert labels_from_names([name]).by_name == {name: label}


@pytest.mark.parametrize("name", ["12.jpg", "holiday.jpg", "_5.jpg"])
def test_names_that_hold_no_class(name: str) -> None:
    assert labels_from_names([name]).without == (name,)
