from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from rescli.data.imagenet.labels import csv_labels, devkit_labels, find_labels, labels_of
from rescli.errors import DataError

VAL1, VAL2 = "ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002"


def expected(ilsvrc: Any) -> dict[str, str]:
    return {name.removesuffix(".JPEG"): wnid for name, (wnid, _) in ilsvrc.val.items()}


class TestDevkit:
    def test_ids_are_meta_mats_and_not_places_in_the_sorted_list(self, ilsvrc: Any) -> None:
        files = ilsvrc.devkit_files()
        truth = files["data/ILSVRC2012_validation_ground_truth.txt"].decode()
        labels = devkit_labels(truth, files["data/meta.mat"])
        assert labels == expected(ilsvrc)
        by_sorted_order = [ilsvrc.class_names[int(line) - 1] for line in truth.split()]
        assert all(wrong != right for wrong, right in zip(by_sorted_order, labels.values(), strict=True))

    @pytest.mark.parametrize("line", ["9", "0", "-1", "cat", "1.0"])
    def test_a_line_that_is_no_id_is_named(self, ilsvrc: Any, line: str) -> None:
        meta = ilsvrc.devkit_files()["data/meta.mat"]
        with pytest.raises(DataError, match=f"line 2 of the devkit's ground truth is no id .*'{line}'"):
            devkit_labels(f"1\n{line}\n", meta)

    def test_damaged_meta(self, ilsvrc: Any) -> None:
        meta = ilsvrc.devkit_files()["data/meta.mat"]
        for damaged in (b"", b"no mat file", meta[:200], meta.replace(b"WNID", b"WORD")):
            with pytest.raises(DataError, match=r"meta\.mat of the devkit is damaged"):
                devkit_labels("1\n", damaged)

    def test_as_archive_and_as_folder(self, ilsvrc: Any, tmp_path: Path) -> None:
        archive = ilsvrc.folder / "ILSVRC2012_devkit_t12.tar.gz"
        assert find_labels([ilsvrc.folder]) == (archive, expected(ilsvrc))
        for name, content in ilsvrc.devkit_files().items():
            path = tmp_path / "ILSVRC2012_devkit_t12" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        assert find_labels([tmp_path]) == (tmp_path / "ILSVRC2012_devkit_t12", expected(ilsvrc))
        (tmp_path / "ILSVRC2012_devkit_t12/data/meta.mat").unlink()
        with pytest.raises(DataError, match=r"is incomplete: no .*meta\.mat"):
            find_labels([tmp_path])

    def test_damaged_archives(self, ilsvrc: Any) -> None:
        archive = ilsvrc.folder / "ILSVRC2012_devkit_t12.tar.gz"
        whole = archive.read_bytes()
        damaged = whole[:100] + bytes(8) + whole[108:]
        for content in (b"", b"no gzip", whole[: len(whole) // 2], damaged):
            archive.write_bytes(content)
            with pytest.raises(DataError, match=r"is damaged|is no devkit"):
                find_labels([ilsvrc.folder])
        archive.write_bytes(gzip.compress(bytes(10240)))
        with pytest.raises(DataError, match="is no devkit of ILSVRC 2012: no data/ILSVRC2012_val"):
            find_labels([ilsvrc.folder])


class TestCsv:
    def test_kaggles(self) -> None:
        text = (
            "ImageId,PredictionString\n"
            f"{VAL2},n01440764 111 108 324 355 n01440764 3 4 5 6 \n"
            f"{VAL1},n15075141 85 1 499 272 \n"
        )
        assert csv_labels(text, "x.csv") == {VAL2: "n01440764", VAL1: "n15075141"}

    @pytest.mark.parametrize("head", ["", "file,wnid\n", "\ufefffile,wnid\r\n", "\n"])
    def test_the_simple_one(self, head: str) -> None:
        text = f"{head}{VAL1}.JPEG,n01440764\n\nval/{VAL2}.JPEG, n15075141\n"
        assert csv_labels(text, "x.csv") == {VAL1: "n01440764", VAL2: "n15075141"}

    @pytest.mark.parametrize(
        "line",
        [
            "a.JPEG",
            "a.JPEG,cat",
            "a.JPEG,n01440764,3",
            "a.JPEG,n01440764 1 2 3 4 n15075141 1 2 3 4",
            "a.JPEG,",
        ],
    )
    def test_a_line_that_is_none_is_named(self, line: str) -> None:
        with pytest.raises(DataError, match=r"line 3 of x\.csv is not FILE,WNID: 'a\.JPEG") as caught:
            csv_labels(f"file,wnid\nb.JPEG,n01440764\n{line}\n", "x.csv")
        assert caught.value.hint is not None

    def test_a_file_twice(self) -> None:
        with pytest.raises(DataError, match=r"line 2 of x\.csv names a a second time"):
            csv_labels("a.JPEG,n01440764\na,n01440764\n", "x.csv")

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "val.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(DataError, match=r"val\.csv is damaged"):
            find_labels([tmp_path])


class TestFind:
    def test_nowhere(self, tmp_path: Path) -> None:
        assert find_labels([tmp_path, tmp_path / "absent"]) is None

    def test_sources_must_agree(self, ilsvrc: Any) -> None:
        labels = expected(ilsvrc)
        rows = [f"{stem}.JPEG,{wnid}" for stem, wnid in labels.items()]
        (ilsvrc.folder / "val.csv").write_text("\n".join(rows))
        assert find_labels([ilsvrc.folder]) == (ilsvrc.folder / "ILSVRC2012_devkit_t12.tar.gz", labels)
        others = [wnid for wnid in ilsvrc.class_names if wnid != labels[VAL1]]
        (ilsvrc.folder / "val.csv").write_text("\n".join([f"{VAL1}.JPEG,{others[0]}", *rows[1:]]))
        with pytest.raises(DataError, match=f"give 1 image different classes: {VAL1}"):
            find_labels([ilsvrc.folder])


def test_labels_of_files() -> None:
    labels = {"a": "n2", "b": "n1"}
    source = Path("val.csv")
    assert labels_of(["b.JPEG", "a.jpg"], labels, ["n1", "n2"], source) == ["n1", "n2"]
    with pytest.raises(DataError, match=r"val\.csv has no label for 2 of 3 images: c, d\."):
        labels_of(["a.JPEG", "c.JPEG", "d.JPEG"], labels, ["n1", "n2"], source)
    with pytest.raises(DataError, match=r"has 1 class that is none: n2\."):
        labels_of(["a.JPEG"], labels, ["n1"], source)
