"""Data sets listed, verified and packed from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from rescli.data.folders.read import read_folder
from rescli.data.photos.pack_index import packed_counts
from rescli.errors import DataError, UsageError
from rescli.remedy import Remedy
from rescli.workflows.data.datasets import datasets
from rescli.workflows.data.pack import pack
from rescli.workflows.data.verify_data import verify_data


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photographs of two classes."""
    for name, shade in (("cat/1", 10), ("cat/2", 60), ("dog/1", 110), ("dog/2", 160)):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (90, 70), (shade, 0, 99)).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path / "photos"


def test_what_is_known_of_each_set_by_its_name() -> None:
    found = {one.name: one for one in datasets()}
    assert (found["cifar10"].num_classes, found["cifar10"].image_size) == (10, 32)
    assert found["imagenet"].sizes == {"train": 1_281_167, "val": 50_000}
    assert (found["imagefolder"].num_classes, found["imagefolder"].any_size) == (None, True)


def test_a_sound_folder(photos: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    report = verify_data("imagefolder", photos, progress=lambda *what: told.append(what))
    assert report.ok
    assert report.checks[0].images_per_class == (2, 2)
    assert told[0] == ("all", 0, None)
    assert told[-1] == ("all", 4, 4)
    report.require_sound()


def test_a_damaged_file_is_a_fault_and_no_error_until_asked(photos: Path) -> None:
    (photos / "dog/2.png").write_bytes(b"no image")
    report = verify_data("imagefolder", photos)
    assert [fault.file for fault in report.faults] == ["dog/2.png"]
    with pytest.raises(DataError, match=r"imagefolder has 1 fault: dog/2\.png \(all\)"):
        report.require_sound()


def test_a_pack_holds_the_same_images(photos: Path, tmp_path: Path) -> None:
    made = pack("imagefolder", tmp_path / "packed", photos)
    assert made.num_images == {"all": 4}
    assert made.num_bytes > 0
    class_names, counts = packed_counts(made.root)
    found = read_folder(photos, counts)
    assert {split: len(images) for split, images in found.items()} == counts
    assert {images.class_names for images in found.values()} == {class_names}
    with pytest.raises(UsageError, match="packed exists and is not overwritten"):
        pack("imagefolder", tmp_path / "packed", photos)


def test_errors_tell_python_what_to_give(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RESCLI_DATA", raising=False)
    with pytest.raises(DataError, match="nobody said where the images are") as caught:
        pack("imagefolder", tmp_path / "packed")
    assert caught.value.remedies == (Remedy("data_root", "DIR", "or RESCLI_DATA=DIR"),)
    assert caught.value.__notes__[:1] == ['try: data_root="DIR" (or RESCLI_DATA=DIR)']
