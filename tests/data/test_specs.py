from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import rescli.data.cifar
from rescli import registry
from rescli.data.specs import Cifar10Spec, Cifar100Spec, ShapesSpec
from rescli.spec.base import DatasetSpec


def test_sizes_and_classes() -> None:
    assert Cifar10Spec().sizes == {"train": 45_000, "val": 5000, "test": 10_000}
    assert Cifar10Spec(val_size=0).sizes == {"train": 50_000, "val": 0, "test": 10_000}
    assert (Cifar10Spec().num_classes, Cifar100Spec().num_classes) == (10, 100)
    assert ShapesSpec(num_val=7).sizes == {"train": 10_000, "val": 7, "test": 2000}
    assert ShapesSpec().image_size == Cifar100Spec().image_size == 32


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "shapes"])
def test_registered_documented_and_reversible(name: str) -> None:
    spec_class: type[DatasetSpec] = registry.load("datasets", name)
    spec = spec_class()
    assert spec.kind == name
    assert spec_class.model_validate(spec.model_dump()) == spec
    for field, info in spec_class.model_fields.items():
        assert field == "kind" or info.description


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "shapes"])
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
        "import sys; from rescli.data.specs import Cifar10Spec, ShapesSpec; Cifar10Spec().sizes;"
        "ShapesSpec().num_classes; print(sorted({'torch', 'torchvision', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_build_reads_the_asked_splits(fake_cifar: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescli.data.cifar, "CIFAR10", fake_cifar.cifar)
    sets = Cifar10Spec(val_size=5).build(fake_cifar.root, ("val", "test"))
    assert {split: len(images) for split, images in sets.items()} == {"val": 5, "test": 4}


def test_shapes_build_matches_the_spec(tmp_path: Path) -> None:
    spec = ShapesSpec(num_train=20, num_val=10, num_test=10)
    sets = spec.build(tmp_path, ("train", "test"))
    assert {split: len(images) for split, images in sets.items()} == {"train": 20, "test": 10}
    assert sets["train"].images_NHWC.shape[1:] == (spec.image_size, spec.image_size, 3)
    assert sets["train"].class_names == spec.class_names
    assert sets["train"].num_classes == spec.num_classes


@pytest.mark.realdata
def test_real_cifar10_sizes(cifar_root: Path) -> None:
    spec = Cifar10Spec()
    sets = spec.build(cifar_root, ("train", "val", "test"))
    assert {split: len(images) for split, images in sets.items()} == spec.sizes
