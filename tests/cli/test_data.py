"""``rescli data`` as a user types it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from rescli import registry
from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.specs import ShapesSpec

OWN = ["cifar10", "cifar100", "imagefolder", "imagenet", "shapes"]


def draw(path: Path, seed: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path)


class FewShapes(ShapesSpec):
    """A few shapes."""

    kind: Literal["few"] = "few"  # type: ignore[assignment]
    num_train: int = 30
    num_val: int = 10
    num_test: int = 10


class CountedFolder(ImageFolderSpec):
    kind: Literal["counted"] = "counted"  # type: ignore[assignment]

    @property
    def sizes(self) -> dict[str, int]:
        return {"train": 5, "val": 2}


class NeedsKeys(ShapesSpec):
    """Shapes that are not complete by their name."""

    kind: Literal["needy"] = "needy"  # type: ignore[assignment]
    colour: str


class Unruly(ShapesSpec):
    kind: Literal["unruly"] = "unruly"  # type: ignore[assignment]

    @property
    def num_classes(self) -> int:
        raise ZeroDivisionError("of its own\nmaking")


@pytest.fixture(autouse=True)
def _few() -> Iterator[None]:
    with registry.override("datasets", "few", FewShapes):
        yield


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four images to train on, one of them grey, and two others: nothing is wrong."""
    root = tmp_path / "photos"
    for number in range(3):
        draw(root / f"train/cat/{number}.png", number)
    draw(root / "train/dog/3.png", 3, mode="L")
    draw(root / "val/cat/4.png", 4)
    draw(root / "val/dog/5.png", 5)
    return root


class TestList:
    def test_every_data_set_with_its_facts(self, rescli: Callable[..., Any]) -> None:
        answer = rescli("data", "list")
        assert (answer.code, answer.err) == (0, "")
        lines = answer.out.splitlines()
        names = [line.split()[0] for line in lines[::2]]
        assert names == sorted([*OWN, "few"])
        facts = dict(zip(names, lines[::2], strict=True))
        assert "10 classes, images of 32x32: train 45,000, val 5,000, test 10,000" in facts["cifar10"]
        assert "as in its folders, of any size (crops of 224x224)" in facts["imagefolder"]
        assert "1,000 classes, images of any size (crops of 224x224): train 1,281,167" in facts["imagenet"]
        assert lines[1].strip().startswith("CIFAR-10 (Krizhevsky 2009)")

    def test_without_a_word_it_lists(self, rescli: Callable[..., Any]) -> None:
        assert rescli("data").out == rescli("data", "list").out
        with_json = rescli("data", "list", "--json").out
        assert rescli("data", "--json").out == rescli("data", "--json", "list").out == with_json

    def test_json(self, rescli: Callable[..., Any]) -> None:
        rows = {row["name"]: row for row in rescli("data", "list", "--json").json["datasets"]}
        assert rows["few"] == {
            "name": "few",
            "summary": "A few shapes.",
            "problem": None,
            "num_classes": 10,
            "sizes": {"train": 30, "val": 10, "test": 10},
            "image_size": 32,
            "any_size": False,
        }
        assert (rows["imagefolder"]["num_classes"], rows["imagefolder"]["sizes"]) == (None, None)
        assert rows["imagenet"]["any_size"] is True
        assert all(rows[name]["summary"] for name in OWN)

    def test_a_broken_plugin_is_one_line_of_warning(
        self, rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        point = EntryPoint("broken", "no_such_package:Spec", "rescli.datasets")
        monkeypatch.setitem(registry._table("datasets"), "broken", [point])
        answer = rescli("data", "list", "--json")
        assert [row["name"] for row in answer.json["datasets"]] == sorted([*OWN, "few"])
        assert answer.err.startswith("warning: dataset 'broken'")
        assert (answer.code, answer.err.count("\n")) == (0, 1)

    def test_an_unruly_plugin_is_one_line_of_warning(self, rescli: Callable[..., Any]) -> None:
        with registry.override("datasets", "unruly", Unruly), registry.override("datasets", "odd", print):
            answer = rescli("data")
        assert answer.code == 0
        assert "unruly" not in answer.out
        assert (
            "warning: data set 'unruly' cannot be described: ZeroDivisionError: of its own making"
            in answer.err
        )
        assert "warning: data set 'odd' cannot be described" in answer.err
        assert answer.err.count("\n") == 2

    def test_a_data_set_that_needs_keys_says_which(self, rescli: Callable[..., Any]) -> None:
        with registry.override("datasets", "needy", NeedsKeys):
            answer = rescli("data")
        assert (answer.code, answer.err) == (0, "")
        assert "not complete by its name alone; it needs: colour" in answer.out

    def test_imports_no_torch(self) -> None:
        code = (
            "import sys; from rescli.cli.app import main; sys.argv = ['rescli', 'data', '--json']\n"
            "try: main()\nexcept SystemExit: pass\n"
            "print({'torch', 'torchvision', 'numpy', 'matplotlib'} & set(sys.modules), file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stderr == "set()\n"


class TestVerify:
    def test_all_is_well(self, photos: Path, rescli: Callable[..., Any]) -> None:
        answer = rescli("data", "verify", "imagefolder", "--data-root", photos)
        assert (answer.code, answer.err) == (0, "")
        lines = answer.out.splitlines()
        assert lines[:7] == [
            "imagefolder train",
            "  images       4 in 2 classes",
            "  per class    from 1 (dog) to 3 (cat)",
            "  stored as    3 RGB, 1 grey",
            "  size         8x6",
            "  copies       none",
            f"  fingerprint  {lines[6].split()[1]}",
        ]
        assert lines[8:11] == [
            "imagefolder val",
            "  images       2 in 2 classes",
            "  per class    1 in each",
        ]
        assert lines[-6] == "no image is in two splits"
        assert lines[-4].startswith("odd: 2 classes of fewer than 5 training images: cat 3, dog 1")
        assert lines[-3].startswith("odd: train: half of the images have a shorter side of 6 pixels or less")
        assert lines[-2:] == ["", "no faults"]

    def test_json(self, photos: Path, rescli: Callable[..., Any]) -> None:
        facts = rescli("data", "verify", "imagefolder", "--data-root", photos, "--json").json
        assert facts.keys() == {"dataset", "ok", "splits", "copies_between", "faults", "survey"}
        assert (facts["dataset"], facts["ok"], facts["faults"]) == ("imagefolder", True, [])
        train, val = facts["splits"]
        assert len(train.pop("fingerprint")) == 64
        assert train == {
            "split": "train",
            "num_images": 4,
            "expected_images": None,
            "num_classes": 2,
            "fewest": {"class": "dog", "num_images": 1},
            "most": {"class": "cat", "num_images": 3},
            "empty_classes": [],
            "images_per_class": {"cat": 3, "dog": 1},
            "copies": {"count": 0, "other_label": 0, "named": []},
            "files": {
                "modes": {"RGB": 3, "L": 1},
                "smallest": {"name": "cat/0.png", "width": 8, "height": 6},
                "largest": {"name": "cat/0.png", "width": 8, "height": 6},
                "num_undecodable": 0,
                "num_other_files": 0,
                "other_files": [],
            },
        }
        assert val["split"] == "val"
        assert facts["copies_between"] == [
            {"original_split": "train", "split": "val", "count": 0, "other_label": 0, "named": []}
        ]

    def test_json_before_the_word_too(self, photos: Path, rescli: Callable[..., Any]) -> None:
        arguments = ("verify", "imagefolder", "--data-root", photos)
        assert rescli("data", "--json", *arguments).json == rescli("data", *arguments, "--json").json

    def test_copies_and_uneven_classes_are_no_faults(self, photos: Path, rescli: Callable[..., Any]) -> None:
        draw(photos / "train/cat/again.png", 0)
        draw(photos / "val/dog/leak.PNG", 1)
        (photos / "train/emu").mkdir()
        (photos / "train/cat/notes.txt").touch()
        answer = rescli("data", "verify", "imagefolder", "--data-root", photos)
        assert (answer.code, answer.err) == (0, "")
        for line in (
            "  copies       1 equals an earlier image",
            "               cat/again.png = cat/0.png",
            "left out: 1 class without an image anywhere: emu",
            "  other files  1 that is no image by suffix: cat/notes.txt",
            "imagefolder val against train",
            "  copies       1 of its images is in train too, 1 under another label",
            "               val dog/leak.PNG = train cat/1.png  (dog, cat)",
            "no faults",
        ):
            assert line in answer.out.splitlines()

    def test_many_copies_are_not_all_shown(self, tmp_path: Path, rescli: Callable[..., Any]) -> None:
        for number in range(9):
            draw(tmp_path / f"cat/{number}.png", 0)
        draw(tmp_path / "dog/0.png", 1)
        out = rescli("data", "verify", "imagefolder", "--data-root", tmp_path).out
        assert out.count("= cat/0.png") == 5
        assert "and 3 more (--json names 8)" in out

    def test_every_damaged_file_is_named(self, photos: Path, rescli: Callable[..., Any]) -> None:
        draw(photos / "train/cat/9.jpg", 9)
        broken = [
            photos / name
            for name in ("train/cat/1.png", "train/cat/9.jpg", "train/dog/3.png", "val/dog/5.png")
        ]
        for path in broken:
            path.write_bytes(path.read_bytes()[:60])
        answer = rescli("data", "verify", "imagefolder", "--data-root", photos)
        assert answer.code == 3
        faults = [line for line in answer.out.splitlines() if line.startswith("fault: ")]
        assert len(faults) == 4
        for path, line in zip(broken, faults, strict=True):
            assert line.startswith(f"fault: {path} cannot be decoded: ")
        assert "no faults" not in answer.out
        assert "imagefolder val\n" in answer.out
        assert answer.err.startswith(
            "error: imagefolder has 4 faults: cat/1.png (train); cat/9.jpg (train); dog/3.png (train); ...\n"
        )

    def test_damaged_files_as_json(self, photos: Path, rescli: Callable[..., Any]) -> None:
        (photos / "val/dog/5.png").write_bytes(b"text")
        answer = rescli("data", "verify", "imagefolder", "--data-root", photos, "--json")
        assert answer.code == 3
        assert answer.json["ok"] is False
        assert [(f["split"], f["file"]) for f in answer.json["faults"]] == [("val", "dog/5.png")]
        assert "1 fault: dog/5.png (val)" in answer.err

    def test_a_wrong_number_of_images(self, photos: Path, rescli: Callable[..., Any]) -> None:
        with registry.override("datasets", "counted", CountedFolder):
            answer = rescli("data", "verify", "counted", "--data-root", photos)
        assert answer.code == 3
        assert "  images       4 in 2 classes, expected 5\n" in answer.out
        assert "  images       2 in 2 classes\n" in answer.out
        assert answer.err.startswith("error: counted has 1 fault: train has 4 images, expected 5.\n")

    def test_a_split_that_cannot_be_read_does_not_hide_the_other(
        self, photos: Path, rescli: Callable[..., Any]
    ) -> None:
        (photos / "train/cat/linked.png").symlink_to(photos / "nowhere")
        answer = rescli("data", "verify", "imagefolder", "--data-root", photos)
        assert answer.code == 3
        assert "imagefolder val\n  images       2 in 2 classes\n" in answer.out
        assert "1 fault: 1 of the 5 image files" in answer.err
        assert "cat/linked.png (No such file or directory)" in answer.err

    def test_damaged_cifar_is_one_fault(self, tmp_path: Path, rescli: Callable[..., Any]) -> None:
        from rescli.data.cifar.images import CIFAR10

        folder = tmp_path / CIFAR10.files.folder
        folder.mkdir()
        for name in CIFAR10.files.md5s:
            (folder / name).write_bytes(b"not CIFAR")
        answer = rescli("data", "verify", "cifar10", "--data-root", tmp_path)
        assert answer.code == 3
        assert answer.out.count("fault: data_batch_1 of CIFAR-10") == answer.out.count("\n") == 1
        assert "cifar10 has 1 fault: data_batch_1 of CIFAR-10" in answer.err
        assert CIFAR10.files.archive_md5 in answer.err  # the hint is the set's own

    def test_a_set_in_memory(self, rescli: Callable[..., Any]) -> None:
        answer = rescli("data", "verify", "few")
        assert (answer.code, answer.err) == (0, "")
        for line in ("few train", "  images       30 in 10 classes", "  per class    3 in each", "few test"):
            assert line in answer.out.splitlines()
        assert "stored as" not in answer.out

    def test_one_split(self, rescli: Callable[..., Any]) -> None:
        facts = rescli("data", "verify", "few", "--split", "test", "--json").json
        assert [row["split"] for row in facts["splits"]] == ["test"]
        facts = rescli("data", "verify", "few", *("--split", "val", "--split", "train") * 2, "--json").json
        assert [row["split"] for row in facts["splits"]] == ["val", "train"]
        assert [(row["original_split"], row["split"]) for row in facts["copies_between"]] == [
            ("val", "train")
        ]
        assert "two splits" not in rescli("data", "verify", "few", "--split", "val").out

    def test_a_flat_folder(self, photos: Path, rescli: Callable[..., Any]) -> None:
        answer = rescli("data", "verify", "imagefolder", "--data-root", photos / "train", "--split", "all")
        assert answer.code == 0
        assert answer.out.startswith("imagefolder all\n")
        answer = rescli("data", "verify", "imagefolder", "--data-root", photos / "train", "--split", "val")
        assert answer.code == 3
        assert "has no split 'val'; it has all" in answer.err

    @pytest.mark.parametrize(
        ("arguments", "code", "says"),
        [
            (("cifar1",), 2, "Did you mean 'cifar10'?"),
            (("cifar10", "--split", "tset"), 2, "known: test, train, val. Did you mean 'test'?"),
            (("imagenet", "--split", "test"), 2, "known: train, val"),
            (("imagefolder", "--split", "tset"), 2, "known: all, test, train, val"),
            (("imagefolder", "--data-root", "/no/such/folder"), 3, "no such folder: /no/such/folder"),
            (("imagefolder", "--data-root", "~nobody-of-that-name/x"), 3, "cannot be found"),
            (("imagefolder",), 3, "--data-root DIR, or RESCLI_DATA=DIR"),
        ],
    )
    def test_what_cannot_work(
        self,
        arguments: tuple[str, ...],
        code: int,
        says: str,
        rescli: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.delenv("RESCLI_DATA", raising=False)
        answer = rescli("data", "verify", *arguments)
        assert (answer.code, answer.out) == (code, "")
        assert says in answer.err

    def test_a_bar_on_a_terminal_only(
        self, photos: Path, rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = rescli("data", "verify", "imagefolder", "--data-root", photos)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take stderr for a terminal
        shown = rescli("data", "verify", "imagefolder", "--data-root", photos)
        assert plain.err == ""
        assert "checking" in shown.err
        assert shown.out == plain.out

    @pytest.mark.realdata
    def test_real_cifar10(self, cifar_root: Path, rescli: Callable[..., Any]) -> None:
        facts = rescli("data", "verify", "cifar10", "--data-root", cifar_root, "--json").json
        assert facts["ok"] is True
        assert [row["num_images"] for row in facts["splits"]] == [45_000, 5000, 10_000]
        assert all(row["count"] == 0 for row in facts["copies_between"])
