"""ImageNet's validation images as files: the same images as in class folders, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rescli.data.imagenet.images import read_imagenet
from rescli.errors import DataError


def write(folder: Path, files: dict[str, tuple[str, bytes]], *, in_folders: bool) -> None:
    for name, (wnid, content) in files.items():
        path = folder / wnid / name if in_folders else folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_csv(path: Path, ilsvrc: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name},{wnid}\n" for name, (wnid, _) in ilsvrc.val.items()))


@pytest.fixture
def flat(ilsvrc: Any, tmp_path: Path) -> Path:
    write(tmp_path / "flat/train", ilsvrc.train, in_folders=True)
    write(tmp_path / "flat/val", ilsvrc.val, in_folders=False)
    return tmp_path / "flat"


@pytest.mark.parametrize("source", ["devkit", "kaggle", "val.csv", "val/val.csv"])
def test_flat_val_is_val_in_class_folders(ilsvrc: Any, flat: Path, tmp_path: Path, source: str) -> None:
    write(tmp_path / "sorted/val", ilsvrc.val, in_folders=True)
    write(tmp_path / "sorted/train", ilsvrc.train, in_folders=True)
    if source == "devkit":
        (ilsvrc.folder / "ILSVRC2012_devkit_t12.tar.gz").rename(flat / "ILSVRC2012_devkit_t12.tar.gz")
    elif source == "kaggle":
        rows = [f"{name[:-5]},{wnid} 1 2 3 4 {wnid} 5 6 7 8 " for name, (wnid, _) in ilsvrc.val.items()]
        (flat / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *reversed(rows)]))
    else:
        write_csv(flat / source, ilsvrc)
    ours = read_imagenet(flat, ("train", "val"), ilsvrc.class_names)
    theirs = read_imagenet(tmp_path / "sorted", ("train", "val"), ilsvrc.class_names)
    for split in ("train", "val"):
        assert ours[split].labels_N.equal(theirs[split].labels_N)
        assert ours[split].fingerprint == theirs[split].fingerprint
        assert ours[split].class_names == theirs[split].class_names == ilsvrc.class_names
        contents = [[files.content(k) for k in range(len(files))] for files in (ours[split], theirs[split])]
        assert contents[0] == contents[1]
    assert [Path(name).name for name in theirs["val"].file_names] == list(ours["val"].file_names)
    for name, label in zip(ours["val"].file_names, ours["val"].labels_N.tolist(), strict=True):
        assert ilsvrc.class_names[label] == ilsvrc.val[name][0]


def test_each_split_can_be_read_alone(ilsvrc: Any, flat: Path) -> None:
    write_csv(flat / "val.csv", ilsvrc)
    both = read_imagenet(flat, ("val", "train"), ilsvrc.class_names)
    assert list(both) == ["val", "train"]
    for split in both:
        (alone,) = read_imagenet(flat, (split,), ilsvrc.class_names).values()
        assert alone.fingerprint == both[split].fingerprint
    for path in sorted((flat / "train").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (flat / "train").rmdir()
    assert len(read_imagenet(flat, ("val",), ilsvrc.class_names)["val"]) == len(ilsvrc.val)
    with pytest.raises(DataError, match=r"no such folder: .*train"):
        read_imagenet(flat, ("train", "val"), ilsvrc.class_names)


@pytest.mark.parametrize("given", ["", "ILSVRC/Data/CLS-LOC"])
def test_kaggles_layout_has_its_csv_at_the_top(ilsvrc: Any, tmp_path: Path, given: str) -> None:
    place = tmp_path / "kaggle/ILSVRC/Data/CLS-LOC"
    write(place / "train", ilsvrc.train, in_folders=True)
    write(place / "val", ilsvrc.val, in_folders=False)
    (place / "test").mkdir()
    (place / "test/ILSVRC2012_test_00000001.JPEG").write_bytes(b"")
    write_csv(tmp_path / "kaggle/LOC_val_solution.csv", ilsvrc)
    sets = read_imagenet(tmp_path / "kaggle" / given, ("train", "val"), ilsvrc.class_names)
    assert (len(sets["train"]), len(sets["val"])) == (len(ilsvrc.train), len(ilsvrc.val))


def test_without_labels(ilsvrc: Any, flat: Path) -> None:
    with pytest.raises(DataError, match="7 images without class folders, and no labels") as caught:
        read_imagenet(flat, ("val",), ilsvrc.class_names)
    assert "LOC_val_solution.csv" in str(caught.value.hint)
    assert caught.value.exit_code == 3
    # Training does not need them.
    assert len(read_imagenet(flat, ("train",), ilsvrc.class_names)["train"]) == len(ilsvrc.train)


def test_an_image_without_a_label_is_named(ilsvrc: Any, flat: Path) -> None:
    write_csv(flat / "val.csv", ilsvrc)
    (flat / "val/extra.JPEG").write_bytes(b"")
    with pytest.raises(DataError, match=r"has no label for 1 of 8 images: extra"):
        read_imagenet(flat, ("val",), ilsvrc.class_names)
