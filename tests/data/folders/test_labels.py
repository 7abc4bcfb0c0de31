from __future__ import annotations

import os
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
    labels = find_labels_file(IMAGES, [tmp_path], root=tmp_path, split="train")
    assert labels is not None
    assert labels.by_name == {"1.jpg": "cat", "2.jpg": "dog", "3.jpg": "cat"}
    assert labels.without == ()


def test_a_column_is_asked_for_where_several_could_be_it(tmp_path: Path) -> None:
    path = table(tmp_path, "file,colour,shape\n1.jpg,red,round\n2.jpg,blue,round\n3.jpg,red,square\n")
    with pytest.raises(DataError, match="which column has the classes: file, colour, shape") as caught:
        find_labels_file(IMAGES, [tmp_path], root=tmp_path, split="train")
    (remedy,) = caught.value.remedies
    assert (remedy.setting, remedy.value) == ("data.dataset.labels", "labels.csv:COLUMN")
    assert read_labels_file(path, "shape", IMAGES, root=tmp_path).by_name["3.jpg"] == "square"
    with pytest.raises(DataError, match="no column 'size'; it has file, colour, shape"):
        read_labels_file(path, "size", IMAGES, root=tmp_path)


def test_an_image_of_two_classes_is_refused(tmp_path: Path) -> None:
    table(tmp_path, "1.jpg,cat\n1.jpg,dog\n2.jpg,dog\n3.jpg,cat\n")
    with pytest.raises(DataError, match=r"gives 1 image two classes: 1.jpg \(cat and dog\)"):
        find_labels_file(IMAGES, [tmp_path], root=tmp_path, split="train")
    table(tmp_path, "filename,cat,dog\n1.jpg,1,1\n2.jpg,0,1\n3.jpg,1,0\n")
    with pytest.raises(DataError, match="not clear which column has the classes"):
        find_labels_file(IMAGES, [tmp_path], root=tmp_path, split="train")


def test_images_without_a_label_are_named(tmp_path: Path) -> None:
    table(tmp_path, "1.jpg,cat\n2.jpg,dog\n")
    labels = find_labels_file(IMAGES, [tmp_path], root=tmp_path, split="train")
    assert labels is not None
    assert labels.without == ("3.jpg",)


def test_other_tables_are_none(tmp_path: Path) -> None:
    table(tmp_path, "n1\tgoldfish\nn2\tsalamander\n", "words.txt")
    table(tmp_path, "some words on the data\n", "README.txt")
    (tmp_path / "scores.csv").write_bytes(b"\xff\xfe\0\0")
    assert find_labels_file(IMAGES, [tmp_path], root=tmp_path, split="train") is None
    table(tmp_path, "1.jpg,emu\n2.jpg,owl\n3.jpg,owl\n")
    assert find_labels_file(IMAGES, [tmp_path], root=tmp_path, split="val", known_classes=["cat"]) is None


def test_the_splits_own_table_is_preferred(tmp_path: Path) -> None:
    table(tmp_path, "1.jpg,a\n2.jpg,a\n3.jpg,a\n", "all.csv")
    table(tmp_path, "1.jpg,b\n2.jpg,b\n3.jpg,b\n", "val.csv")
    labels = find_labels_file(IMAGES, [tmp_path], root=tmp_path, split="val")
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


@pytest.mark.parametrize(
    "text",
    [
        "label,id\n2,0\n1,1\n0,2\n",  # both columns are numbers that are names of files
        "id,label,is_train\n0,2,1\n1,1,0\n2,0,1\n",  # no column for each class
        "label,image\n2,0.jpg\n1,1.jpg\n0,2.jpg\n",
    ],
)
def test_numbers_for_classes(tmp_path: Path, text: str) -> None:
    table(tmp_path, text)
    labels = find_labels_file(["0.jpg", "1.jpg", "2.jpg"], [tmp_path], root=tmp_path, split="train")
    assert labels is not None
    assert labels.by_name == {"0.jpg": "2", "1.jpg": "1", "2.jpg": "0"}


def test_numbers_without_a_heading_are_not_guessed_at(tmp_path: Path) -> None:
    path = table(tmp_path, "2,0\n1,1\n0,2\n")
    images = ["0.jpg", "1.jpg", "2.jpg"]
    with pytest.raises(DataError, match="not clear which column has the files' names"):
        find_labels_file(images, [tmp_path], root=tmp_path, split="train")
    path.write_text("0.jpg,red,2\n1.jpg,red,1\n2.jpg,blue,0\n")
    with pytest.raises(DataError, match="named by number") as caught:
        find_labels_file(images, [tmp_path], root=tmp_path, split="train")
    assert caught.value.remedies[0].value == "labels.csv:COLUMN"
    assert read_labels_file(path, "3", images, root=tmp_path).by_name["0.jpg"] == "2"


def test_a_table_of_other_small_numbers_is_none(tmp_path: Path) -> None:
    table(tmp_path, "".join(f"{row},{row % 5}\n" for row in range(100, 400)))
    images = [f"{number}.jpg" for number in range(40)]
    assert find_labels_file(images, [tmp_path], root=tmp_path, split="train") is None


def test_two_tables_that_disagree(tmp_path: Path) -> None:
    table(tmp_path, "1.jpg,a\n2.jpg,a\n3.jpg,a\n", "first.csv")
    table(tmp_path, "1.jpg,a\n2.jpg,b\n3.jpg,a\n", "second.csv")
    with pytest.raises(DataError, match=r"give 1 image different classes, such as 2.jpg") as caught:
        find_labels_file(IMAGES, [tmp_path], root=tmp_path, split="train")
    assert [remedy.value for remedy in caught.value.remedies] == ["first.csv", "second.csv"]


def test_a_form_to_fill_in_is_no_table(tmp_path: Path) -> None:
    table(tmp_path, "id,label\n1,a\n2,a\n3,a\n", "sample_submission.csv")
    assert find_labels_file(IMAGES, [tmp_path], root=tmp_path, split="test") is None


def test_a_first_row_whose_image_is_gone_is_no_heading(tmp_path: Path) -> None:
    table(tmp_path, "0.JPEG\tn1\t0\t0\t9\t9\n" + "".join(f"{n}.jpg\tn2\t0\t0\t9\t9\n" for n in (1, 2, 3)))
    labels = find_labels_file(IMAGES, [tmp_path], root=tmp_path, split="val")
    assert labels is not None
    assert labels.by_name["1.jpg"] == "n2"


def test_a_pipe_of_labels_is_called_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(DataError, match=r"labels\.csv cannot be read: it is a pipe or a device"):
        read_labels_file(tmp_path / "labels.csv", None, IMAGES, root=tmp_path)
