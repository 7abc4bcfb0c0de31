"""Whether images are there, asked without opening a test image or hashing a large set."""

import builtins
import io

import pytest

from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.specs import Cifar10Spec, ImageNetSpec, ShapesSpec
from rescli.errors import DataError


@pytest.fixture
def no_file_opened(monkeypatch):
    def refuse(path, *_, **__):
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(builtins, "open", refuse)
    monkeypatch.setattr(io, "open", refuse)


@pytest.mark.usefixtures("no_file_opened")
@pytest.mark.parametrize("spec", [ImageNetSpec(), ImageFolderSpec()], ids=lambda spec: spec.kind)
def test_of_photographs_only_the_folders_are_looked_for(tmp_path, spec):
    with pytest.raises(DataError):
        spec.check_available(tmp_path / "nowhere")
    for split in ("train", "val"):
        (tmp_path / split / "n01440764").mkdir(parents=True)
    spec.check_available(tmp_path)


@pytest.mark.usefixtures("no_file_opened")
def test_shapes_are_always_there():
    ShapesSpec().check_available(None)


def test_cifar_is_asked_for_its_training_files(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(Cifar10Spec, "build", lambda _spec, _root, splits: asked.append(splits))
    Cifar10Spec().check_available(tmp_path)
    assert asked == [("train",)]
