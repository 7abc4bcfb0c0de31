"""Classes of one's own, by whoever names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.specs import Cifar10Spec
from rescli.errors import DataError, UsageError
from rescli.importers.class_names import given_classes, named_in_file, with_classes

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder of class folders with an empty image in each."""

    def make(*names: str) -> Path:
        for name in names:
            (tmp_path / "images" / name).mkdir(parents=True)
            for number in range(10):
                (tmp_path / "images" / name / f"{number}.jpg").touch()
        return tmp_path / "images"

    return make


def test_names_as_given(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("bee\n\n ant \n", encoding="utf-8")
    for given in ("bee,ant", "bee, ant", ["bee", "ant"], tmp_path / "names.txt", str(tmp_path / "names.txt")):
        assert given_classes(given) == ("bee", "ant")
    assert given_classes(None) is None


def test_names_in_a_file_that_an_editor_marked(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("bee\nant\n", encoding="utf-8-sig")
    assert given_classes(tmp_path / "names.txt") == ("bee", "ant")


@pytest.mark.parametrize("given", ["{0: bee, 1: ant}", "[bee, ant]", "('bee', 'ant')", '{"b": 0, "a": 1}'])
def test_names_that_are_a_dict_or_a_list(tmp_path: Path, given: str) -> None:
    (tmp_path / "names.txt").write_text(given.replace(", ", ",\n"), encoding="utf-8")
    for one in (given, tmp_path / "names.txt"):
        with pytest.raises(UsageError, match="look like a dict or a list of a program"):
            given_classes(one)
    assert given_classes("{bee},ant") == ("{bee}", "ant")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("bee", "'bee' is one name, and no text file"),
        ("bee,ant,bee", "3 were given, 'bee' twice among them"),
        ("bee,,ant", "3 were given, an empty one among them"),
        (["bee"], "1 were given"),
    ],
)
def test_names_that_cannot_be(given: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        given_classes(given)
    assert {one.setting for one in caught.value.remedies} == {"classes", "data_root"}


def test_of_the_folders_sorted(folder: Folder) -> None:
    dataset, names = with_classes(ImageFolderSpec(), None, folder("bee", "ant"))
    assert names == dataset.class_names == ("ant", "bee")
    # Which images were held out in their training nobody knows, so that no number of images stays.
    assert isinstance(dataset, ImageFolderSpec)
    assert (dataset.num_train, dataset.held_out) == (None, None)


@pytest.mark.parametrize("split", ["val", "valid", "test"])
def test_of_a_folder_without_training_images(folder: Folder, split: str) -> None:
    root = folder(f"{split}/bee", f"{split}/ant")
    assert with_classes(ImageFolderSpec(), None, root)[1] == ("ant", "bee")


def test_of_the_folders_that_are_not_left_out(folder: Folder) -> None:
    dataset = ImageFolderSpec(exclude=("cat",))
    assert with_classes(dataset, None, folder("ant", "bee", "cat"))[1] == ("ant", "bee")


def test_given_ones_have_the_order_of_the_outputs(folder: Folder) -> None:
    dataset, names = with_classes(ImageFolderSpec(), ("bee", "ant"), folder("ant", "bee"))
    assert (names, dataset.class_names) == (("bee", "ant"), ("ant", "bee"))


def test_given_ones_that_the_folder_does_not_have(folder: Folder) -> None:
    with pytest.raises(UsageError, match=r"3 classes were given \(ant, bee, cat\), .* has 2 \(ant, bee\)"):
        with_classes(ImageFolderSpec(), ("ant", "bee", "cat"), folder("ant", "bee"))


def test_a_data_set_with_classes_of_its_own(tmp_path: Path) -> None:
    assert with_classes(Cifar10Spec(), None, None) == (Cifar10Spec(), Cifar10Spec().class_names)
    for given in ({"names": ("a", "b"), "data_root": None}, {"names": None, "data_root": tmp_path}):
        with pytest.raises(UsageError, match="the 10 classes of cifar10 are known") as caught:
            with_classes(Cifar10Spec(), **given)  # type: ignore[arg-type]
        assert [(one.setting, one.value) for one in caught.value.remedies] == [("dataset", "imagefolder")]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        with_classes(ImageFolderSpec(), None, tmp_path / "absent")


@pytest.mark.parametrize("names", [None, ("ant", "bee")])
def test_folders_without_images_name_no_class(tmp_path: Path, names: tuple[str, ...] | None) -> None:
    for name in ("ant", "bee"):
        (tmp_path / "train" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="has no image in a class folder") as caught:
        with_classes(ImageFolderSpec(), names, tmp_path)
    assert [one.setting for one in caught.value.remedies] == ["classes"]


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {}, "class_to_idx": {"bee": 1, "ant": 0}},
        {"meta": {"CLASSES": ("ant", "bee")}},
        {"hyper_parameters": {"data": {"class_names": ["ant", "bee"]}}},
        {"idx_to_class": {1: "bee", 0: "ant"}},
        {"config": {"id2label": {"0": "ant", "1": "bee"}, "architectures": ["ResNet"]}},
        {"label2id": {"bee": 1, "ant": 0}},
    ],
)
def test_names_in_the_file(content: Any) -> None:
    assert named_in_file(content) == ("ant", "bee")


@pytest.mark.parametrize("key", ["names", "labels", "categories", "idx2label", "label_map"])
def test_names_that_may_be_of_something_else(key: str) -> None:
    content = {"epoch": 3, "extra": {key: {0: "ant", 1: "bee"}}}
    assert named_in_file(content, 2) == ("ant", "bee")
    assert named_in_file(content, 3) is None
    assert named_in_file(content) is None


def test_the_outermost_names_in_the_file() -> None:
    inner = {"one": {"two": {"classes": ["a", "b"]}}, "three": {"classes": ["ant", "bee"]}}
    assert named_in_file(inner) == ("ant", "bee")


def test_dicts_that_contain_themselves_many_times() -> None:
    """Each is looked at once: on every way to it there would be 300 to the fourth."""
    content: dict[str, Any] = {}
    content.update({f"k{number}": content for number in range(300)})
    others = [{f"k{number}": content for number in range(300)} for _ in range(300)]
    content.update({f"o{number}": other for number, other in enumerate(others)})
    for other in others:
        other.update({f"o{number}": one for number, one in enumerate(others)})
    looked: list[int] = []

    class Counting(dict[str, Any]):
        def items(self) -> Any:
            looked.append(1)
            return super().items()

    counting = Counting(content)
    for other in others:
        other["counted"] = counting
    assert named_in_file(content) is None
    assert len(looked) == 1


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"classes": 10},
        {"classes": ["ant"]},
        {"classes": ["ant", "ant"]},
        {"classes": [1, 2]},
        {"class_to_idx": {"ant": 0, "bee": 2}},
        {"class_to_idx": {"ant": 0, "bee": 0}},
        {"names": ["ant", "bee"]},
    ],
)
def test_what_is_no_list_of_names(content: Any) -> None:
    assert named_in_file(content) is None
