"""Tables as people write them: what their cells name, what names nothing, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rescli.data.folders.specs import ImageFolderSpec
from rescli.errors import DataError

PutFiles = Callable[..., Path]
NAMES = [f"img{number}.jpg" for number in range(6)]
ROWS = [(name, ("cat", "dog")[number % 2]) for number, name in enumerate(NAMES)]


def written(rows: list[tuple[str, str]], head: str = "file,label") -> str:
    return "\n".join([head, *(",".join(row) for row in rows)]) + "\n"


def classes_of(root: Path, **keys: str) -> dict[str, int]:
    survey = ImageFolderSpec(**keys).survey(root)  # type: ignore[arg-type]
    assert survey is not None
    return dict(survey.splits[0].per_class)


def said_of(root: Path, **keys: str) -> str:
    survey = ImageFolderSpec(**keys).survey(root)  # type: ignore[arg-type]
    assert survey is not None
    return "\n".join(finding.sentence for finding in survey.findings)


@pytest.mark.parametrize(
    "content",
    [
        written(ROWS, "FileName,LABEL").encode(),
        written(ROWS, " file , label ").encode(),
        written([(f'"{name}"', f'"{label}"') for name, label in ROWS], '"file","label"').encode(),
        written(ROWS).encode("utf-8-sig"),
        written(ROWS).encode("utf-16"),
        written(ROWS).replace(",", ";").encode(),
        written(ROWS).replace(",", "\t").encode(),
        written(ROWS).replace(",", "|").encode(),
        written(ROWS).replace("\n", "\r\n").encode(),
        written([(f"C:\\data\\{name}", label) for name, label in ROWS]).encode(),
        written([(f"/home/me/data/{name}", label) for name, label in ROWS]).encode(),
        written([(name.removesuffix(".jpg"), label) for name, label in ROWS]).encode(),
        written([(name.replace(".jpg", ".png"), label) for name, label in ROWS]).encode(),
        written([(name.upper(), label) for name, label in ROWS]).encode(),
        b"# made by hand\n\n" + written(ROWS).encode(),
        written([(name, f"{label},") for name, label in ROWS], "file,label,").encode(),
    ],
    ids=[
        *("header in another case", "spaces", "quotes", "utf-8 mark", "utf-16", "semicolons", "tabs"),
        *("bars", "windows lines", "windows paths", "absolute paths", "no suffix", "another suffix"),
        *("another case", "comment", "comma at the end"),
    ],
)
def test_the_same_table_in_many_hands(tmp_path: Path, put_files: PutFiles, content: bytes) -> None:
    root = put_files(tmp_path / "p", *NAMES)
    (root / "labels.csv").write_bytes(content)
    assert classes_of(root) == {"cat": 3, "dog": 3}


def test_names_composed_in_another_way(tmp_path: Path, put_files: PutFiles) -> None:
    root = put_files(tmp_path / "p", *(f"e\u0301{number}.jpg" for number in range(4)))
    rows = [(f"\u00e9{number}.jpg", "ab"[number % 2]) for number in range(4)]
    (root / "labels.csv").write_text(written(rows), encoding="utf-8")
    assert classes_of(root) == {"a": 2, "b": 2}


def test_rows_and_images_without_each_other_are_counted(tmp_path: Path, put_files: PutFiles) -> None:
    root = put_files(tmp_path / "p", *NAMES)
    rows = [*ROWS[:4], ("img9.jpg", "emu"), ("img10.jpg", "emu"), ROWS[0], ("img4.jpg", "NaN")]
    (root / "labels.csv").write_text(written(rows))
    said = said_of(root)
    assert "2 images of all of no label in the table: img4.jpg, img5.jpg" in said
    assert "labels.csv: 2 rows of images that are not there: img9.jpg, img10.jpg" in said
    assert "labels.csv: 1 row says again what an earlier one says" in said
    assert classes_of(root) == {"cat": 2, "dog": 2}


def test_a_row_that_ends_early_labels_nothing(tmp_path: Path, put_files: PutFiles) -> None:
    root = put_files(tmp_path / "p", *NAMES)
    (root / "labels.csv").write_text(written(ROWS[:5]) + "img5.jpg\n")
    assert classes_of(root) == {"cat": 3, "dog": 2}


def test_all_images_of_two_classes_are_counted(tmp_path: Path, put_files: PutFiles) -> None:
    root = put_files(tmp_path / "p", *NAMES)
    rows = [*ROWS, *((name, "emu") for name in NAMES[:5])]
    (root / "labels.csv").write_text(written(rows))
    with pytest.raises(DataError, match=r"gives 5 images two classes: img0.jpg \(cat and emu\).*, \.\.\.\.$"):
        said_of(root)


def test_a_number_that_could_be_two_images_is_neither(tmp_path: Path, put_files: PutFiles) -> None:
    root = put_files(tmp_path / "p", *(f"{number}.jpg" for number in range(4)), "0.png")
    rows = [(str(number), "ab"[number % 2]) for number in range(4)]
    (root / "labels.csv").write_text(written(rows, "id,label"))
    assert classes_of(root) == {"a": 1, "b": 2}
    assert "2 images of all of no label in the table: 0.jpg, 0.png" in said_of(root)


def test_images_of_two_splits_that_are_called_alike(tmp_path: Path, put_files: PutFiles) -> None:
    """Contests number train and test from 0: the labels of train are none of test's."""
    root = put_files(tmp_path / "p", *(f"{split}/{n}.jpg" for split in ("train", "test") for n in range(4)))
    (root / "train.csv").write_text(written([(str(n), "ab"[n % 2]) for n in range(4)], "id,label"))
    survey = ImageFolderSpec().survey(root)
    assert survey is not None
    assert survey.counts == {"train": 4}
    assert "test: its images have no labels" in said_of(root)
    paths = [
        (f"{split}/{n}.jpg", "ab"[(n + (split == "test")) % 2])
        for n in range(4)
        for split in ("train", "test")
    ]
    (root / "train.csv").write_text(written(paths))
    files = ImageFolderSpec().build(root, ("train", "test"))
    assert [files[split].labels_N.tolist() for split in ("train", "test")] == [[0, 0, 1, 1], [0, 0, 1, 1]]
    assert files["train"].file_names == ("0.jpg", "2.jpg", "1.jpg", "3.jpg")
    assert files["test"].file_names == ("1.jpg", "3.jpg", "0.jpg", "2.jpg")
    assert "not there" not in said_of(root)


def test_a_table_that_names_few_is_named_and_taken_if_asked_for(tmp_path: Path, put_files: PutFiles) -> None:
    root = put_files(tmp_path / "p", *NAMES)
    (root / "labels.csv").write_text(written(ROWS[:2]))
    with pytest.raises(DataError, match=r"labels\.csv names 2 of them") as refused:
        said_of(root)
    assert ("data.dataset.labels", "labels.csv") in [
        (one.setting, one.value) for one in refused.value.remedies
    ]
    assert classes_of(root, labels="labels.csv") == {"cat": 1, "dog": 1}
    (root / "labels.csv").write_text(written([("other", "cat")]))
    with pytest.raises(DataError, match=r"labels\.csv names none of them"):
        said_of(root)


def test_a_column_in_another_case_and_a_file_that_is_not_there(tmp_path: Path, put_files: PutFiles) -> None:
    root = put_files(tmp_path / "p", *NAMES)
    (root / "labels.csv").write_text(written(ROWS))
    assert classes_of(root, labels="labels.csv:LABEL") == {"cat": 3, "dog": 3}
    with pytest.raises(DataError, match="no such file of labels") as refused:
        said_of(root, labels="lables.csv")
    assert [one.value for one in refused.value.remedies] == ["labels.csv"]


def test_cells_that_name_a_folder_around_the_images(tmp_path: Path, put_files: PutFiles) -> None:
    classes = (f"train/{name}/{n}.jpg" for name in "ab" for n in range(3))
    root = put_files(tmp_path / "p", *classes, *(f"val/images/{n}.jpg" for n in range(4)))
    rows = [(f"val/{n}.jpg", "ab"[n % 2]) for n in range(4)]
    (root / "val/labels.csv").write_text(written(rows))
    survey = ImageFolderSpec().survey(root)
    assert survey is not None
    assert survey.counts == {"train": 6, "val": 4}
    assert survey.refusals == ()


def test_lines_end_where_programs_end_them_alone(tmp_path: Path, put_files: PutFiles) -> None:
    """The byte 0x85 is three dots in the code page of Windows, and no end of a line."""
    root = put_files(tmp_path / "p", *NAMES)
    content = written([(name, f"{label}\x85 big") for name, label in ROWS])
    (root / "labels.csv").write_bytes(content.encode("latin-1"))
    assert classes_of(root) == {"cat\x85 big": 3, "dog\x85 big": 3}


def test_rows_that_could_be_of_train_or_of_val(tmp_path: Path, put_files: PutFiles) -> None:
    root = put_files(tmp_path / "p", *(f"{split}/{n}.jpg" for split in ("train", "valid") for n in range(4)))
    (root / "labels.csv").write_text(written([(f"{n}.jpg", "ab"[n % 2]) for n in range(4)]))
    for keys in ({}, {"labels": "labels.csv"}):
        with pytest.raises(DataError, match=r"labels\.csv names images of train and of val alike") as refused:
            said_of(root, **keys)
        assert "valid/0.jpg" in str(refused.value.hint)
        (remedy,) = refused.value.remedies
        assert (remedy.setting, remedy.value) == ("data.dataset.exclude", ("valid",))
    survey = ImageFolderSpec(exclude=("valid",)).survey(root)
    assert survey is not None
    assert survey.counts == {"train": 4}
