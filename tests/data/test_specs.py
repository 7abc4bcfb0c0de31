from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import rescli.data.cifar.images
from rescli import registry
from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.specs import Cifar10Spec, Cifar100Spec, ImageNetSpec, ShapesSpec
from rescli.errors import DataError, SpecError
from rescli.spec.base import DatasetSpec


def test_sizes_and_classes() -> None:
    assert Cifar10Spec().sizes == {"train": 45_000, "val": 5000, "test": 10_000}
    assert Cifar10Spec(val_size=0).sizes == {"train": 50_000, "val": 0, "test": 10_000}
    assert (Cifar10Spec().num_classes, Cifar100Spec().num_classes) == (10, 100)
    assert ShapesSpec(num_val=7).sizes == {"train": 10_000, "val": 7, "test": 2000}
    assert ShapesSpec().image_size == Cifar100Spec().image_size == 32


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagefolder", "imagenet", "shapes"])
def test_registered_documented_and_reversible(name: str) -> None:
    spec_class: type[DatasetSpec] = registry.load("datasets", name)
    spec = spec_class()
    assert spec.kind == name
    assert spec_class.model_validate(spec.model_dump()) == spec
    for field, info in spec_class.model_fields.items():
        assert field == "kind" or info.description


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet", "shapes"])
def test_class_names_are_known_without_files(name: str) -> None:
    spec: DatasetSpec = registry.load("datasets", name)()
    assert spec.class_names is not None
    assert len(set(spec.class_names)) == spec.num_classes


@pytest.mark.parametrize("given", [{"val_size": -1}, {"val_size": 50_000}, {"split_seed": -1}, {"vall": 1}])
def test_nonsense_is_refused(given: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Cifar10Spec.model_validate(given)


def test_no_torch_before_build() -> None:
    code = (
        "import sys; from rescli.data.specs import Cifar10Spec, ImageNetSpec, ShapesSpec;"
        "Cifar10Spec().sizes; ShapesSpec().num_classes; ImageNetSpec().class_names;"
        "print(sorted({'torch', 'torchvision', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_build_reads_the_asked_splits(fake_cifar: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescli.data.cifar.images, "CIFAR10", fake_cifar.cifar)
    sets = Cifar10Spec(val_size=5).build(fake_cifar.root, ("val", "test"))
    assert {split: len(images) for split, images in sets.items()} == {"val": 5, "test": 4}


def test_shapes_build_matches_the_spec(tmp_path: Path) -> None:
    spec = ShapesSpec(num_train=20, num_val=10, num_test=10)
    sets = spec.build(tmp_path, ("train", "test"))
    assert {split: len(images) for split, images in sets.items()} == {"train": 20, "test": 10}
    assert sets["train"].images_NHWC.shape[1:] == (spec.image_size, spec.image_size, 3)
    assert sets["train"].class_names == spec.class_names
    assert sets["train"].num_classes == spec.num_classes


def put(root: Path, *names: str) -> Path:
    """Files that hold their names: specs decode none."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


class TestImageFolder:
    def test_only_the_folders_know(self) -> None:
        spec = ImageFolderSpec()
        assert (spec.image_size, spec.any_size, spec.class_names) == (224, True, None)
        with pytest.raises(SpecError, match="in its folders"):
            _ = spec.num_classes
        with pytest.raises(SpecError, match=r"are counted by: .*verify_data"):
            _ = spec.sizes

    def test_splits_and_build(self, tmp_path: Path) -> None:
        root = put(tmp_path, "train/cat/1.jpg", "val/cat/2.jpg", "val/dog/3.jpg")
        assert ImageFolderSpec().splits(root) == ("train", "val")
        sets = ImageFolderSpec().build(root, ("val",))
        assert list(sets) == ["val"]
        assert sets["val"].file_names == ("cat/2.jpg", "dog/3.jpg")
        assert ImageFolderSpec().splits(root / "val") == ("all",)

    def test_root_is_given_or_in_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RESCLI_DATA", str(put(tmp_path / "one", "cat/1.jpg")))
        assert ImageFolderSpec().splits(None) == ("all",)
        assert ImageFolderSpec().splits(put(tmp_path / "two", "val/cat/1.jpg")) == ("val",)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert ImageFolderSpec().splits(Path("~/two")) == ("val",)

    def test_nobody_says_where(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("RESCLI_DATA", raising=False)
        with pytest.raises(DataError, match="nobody said where"):
            ImageFolderSpec().splits(None)
        with pytest.raises(DataError, match="~nobody-of-that-name cannot be found"):
            ImageFolderSpec().splits(Path("~nobody-of-that-name"))


class TestImageNet:
    def test_wnids(self) -> None:
        wnids = ImageNetSpec().class_names
        assert len(wnids) == len(set(wnids)) == ImageNetSpec().num_classes == 1000
        assert list(wnids) == sorted(wnids)
        assert all(len(wnid) == 9 and wnid[0] == "n" and wnid[1:].isdigit() for wnid in wnids)

    @pytest.mark.parametrize(
        ("index", "wnid"),
        [
            *((0, "n01440764"), (217, "n02102040"), (482, "n02979186"), (491, "n03000684")),
            *((497, "n03028079"), (566, "n03394916"), (569, "n03417042"), (571, "n03425413")),
            *((574, "n03445777"), (701, "n03888257")),
        ],
    )
    def test_imagenettes_ten_classes_are_where_every_net_has_them(self, index: int, wnid: str) -> None:
        assert ImageNetSpec().class_names[index] == wnid

    def test_sizes(self) -> None:
        spec = ImageNetSpec()
        assert spec.sizes == {"train": 1_281_167, "val": 50_000}
        assert (spec.image_size, spec.any_size, spec.splits(None)) == (224, True, ("train", "val"))

    @pytest.mark.parametrize("place", ["", "imagenet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC"])
    def test_build_finds_it(self, tmp_path: Path, place: str) -> None:
        wnids = ImageNetSpec().class_names
        put(tmp_path / place, *(f"val/{wnid}/{wnid}.JPEG" for wnid in reversed(wnids)))
        put(tmp_path / place, "test/ILSVRC2012_test_00000001.JPEG")  # without labels, as published
        val = ImageNetSpec().build(tmp_path, ("val",))["val"]
        assert val.labels_N.tolist() == list(range(1000))
        assert val.class_names == wnids
        assert val.file_names[217] == "n02102040/n02102040.JPEG"

    def test_other_classes_are_refused(self, tmp_path: Path) -> None:
        root = put(tmp_path, "val/n01440764/1.JPEG", "val/cat/1.JPEG")
        with pytest.raises(DataError, match=r"999 missing .* 1 unknown") as caught:
            ImageNetSpec().build(root, ("val",))
        assert caught.value.hint is not None
        assert "imagefolder" in caught.value.hint

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no ImageNet in") as caught:
            ImageNetSpec().build(tmp_path, ("train", "val"))
        assert caught.value.exit_code == 3


@pytest.mark.realdata
def test_real_cifar10_sizes(cifar_root: Path) -> None:
    spec = Cifar10Spec()
    sets = spec.build(cifar_root, ("train", "val", "test"))
    assert {split: len(images) for split, images in sets.items()} == spec.sizes
