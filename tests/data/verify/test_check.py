from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import rescli.data.folders.walk
from rescli.data.cifar.images import CIFAR10, read_cifar
from rescli.data.folders.read import read_folder
from rescli.data.image_set import ImageSet
from rescli.data.photos.image_files import ImageFiles
from rescli.data.verify.check import Fault, FileSize, check_split, copies_between
from rescli.data.verify.copies import Copies, Copy


def images_of(levels: list[int], labels: list[int], names: tuple[str, ...] = ()) -> ImageSet:
    """2x2 images of one level each, in classes a, b, c: equal levels are equal images."""
    images_NHWC = torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 2, 2, 3).contiguous()
    return ImageSet(images_NHWC, torch.tensor(labels, dtype=torch.int64), ("a", "b", "c"), "f" * 64, names)


def draw(path: Path, seed: int, *, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Path:
    """Noise of ``size`` (width, height); another seed gives another picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    return path


def read(root: Path, split: str = "all") -> ImageFiles:
    return read_folder(root, (split,))[split]


class TestInMemory:
    def test_counts(self) -> None:
        check = check_split(images_of([1, 2, 3, 4], [1, 1, 0, 1]), split="train", expected_images=4)
        assert (check.split, check.num_images, check.expected_images) == ("train", 4, 4)
        assert check.images_per_class == (1, 3, 0)
        assert (check.fewest, check.most, check.empty_classes) == (("a", 1), ("b", 3), ("c",))
        assert (check.files, check.faults, check.fingerprint) == (None, (), "f" * 64)
        assert check.copies == Copies(0, 0, ())

    def test_first_class_is_named_where_several_are_equal(self) -> None:
        check = check_split(images_of([1, 2, 3], [2, 0, 1]), split="val")
        assert check.fewest == check.most == ("a", 1)

    @pytest.mark.parametrize(("expected", "num_faults"), [(None, 0), (3, 0), (2, 1), (4, 1)])
    def test_another_number_than_expected_is_a_fault(self, expected: int | None, num_faults: int) -> None:
        check = check_split(images_of([1, 2, 3], [0, 1, 2]), split="test", expected_images=expected)
        assert len(check.faults) == num_faults
        if num_faults:
            assert check.faults == (Fault("test", None, f"test has 3 images, expected {expected}."),)

    def test_labels_of_no_class_are_a_fault(self) -> None:
        check = check_split(images_of([1, 2, 2, 4], [0, 3, -1, 2]), split="val")
        assert check.images_per_class == (1, 0, 1)
        assert [fault.text for fault in check.faults] == ["val has 2 labels that are none of its 3 classes'."]
        assert check.copies.named == (Copy("image 2", "label -1", "image 1", "label 3"),)

    def test_copies_within(self) -> None:
        levels, labels = [5, 7, 5, 5, 9, 7], [0, 1, 0, 2, 1, 1]
        copies = check_split(images_of(levels, labels), split="train").copies
        assert (copies.count, copies.other_label) == (3, 1)
        assert copies.named == (
            Copy("image 2", "a", "image 0", "a"),
            Copy("image 3", "c", "image 0", "a"),
            Copy("image 5", "b", "image 1", "b"),
        )

    def test_copies_between(self) -> None:
        train = check_split(images_of([1, 2, 3, 2], [0, 1, 2, 0], tuple("klmn")), split="train")
        test = check_split(images_of([9, 2, 1, 0, 2], [0, 1, 1, 0, 2], tuple("vwxyz")), split="test")
        copies = copies_between(train, test)
        assert copies == Copies(
            count=3,
            other_label=2,
            named=(Copy("w", "b", "l", "b"), Copy("x", "b", "k", "a"), Copy("z", "c", "l", "b")),
        )
        # The other way round it is the images of train that are counted.
        assert [copy.name for copy in copies_between(test, train).named] == ["k", "l", "n"]

    def test_no_copies_with_an_empty_split(self) -> None:
        some, none = images_of([1, 1], [0, 0]), images_of([], [])
        checks = check_split(some, split="train"), check_split(none, split="val")
        assert checks[1].fewest is checks[1].most is None
        assert copies_between(*checks) == copies_between(*reversed(checks)) == Copies(0, 0, ())

    def test_one_byte_makes_another_image(self) -> None:
        images = images_of([3, 3], [0, 0])
        images.images_NHWC[1, 1, 1, 2] += 1
        assert check_split(images, split="train").copies.count == 0

    def test_progress_counts_up(self) -> None:
        seen: list[int] = []
        check_split(images_of([1, 2, 3], [0, 1, 2]), split="train", progress=seen.append)
        assert seen == [1, 2, 3]

    def test_the_images_are_let_go(self) -> None:
        check = check_split(images_of([1], [0]), split="train")
        values = [getattr(check, field.name) for field in dataclasses.fields(check)]
        values += [getattr(check.contents, field.name) for field in dataclasses.fields(check.contents)]
        assert not any(isinstance(value, torch.Tensor) for value in values)


class TestFiles:
    def test_modes_and_sizes(self, tmp_path: Path) -> None:
        draw(tmp_path / "cat/1.png", 1, size=(20, 30))
        draw(tmp_path / "cat/2.png", 2, size=(5, 9), mode="L")
        draw(tmp_path / "dog/3.jpg", 3, size=(40, 10), mode="CMYK")
        draw(tmp_path / "dog/4.png", 4, size=(30, 20), mode="P")
        draw(tmp_path / "dog/5.png", 5, size=(10, 10), mode="L")
        check = check_split(read(tmp_path), split="all", threads=2)
        assert check.files is not None
        assert check.files.modes == {"L": 2, "RGB": 1, "CMYK": 1, "P": 1}
        assert check.files.smallest == FileSize("cat/2.png", 5, 9)
        assert check.files.largest == FileSize("dog/4.png", 30, 20)  # as many pixels as 20x30, but wider
        assert check.images_per_class == (2, 3)
        assert check.faults == ()

    def test_one_size(self, tmp_path: Path) -> None:
        for number in range(5):
            draw(tmp_path / f"cat/{number}.png", number)
        files = check_split(read(tmp_path), split="all").files
        assert files is not None
        assert files.smallest is not None
        assert files.smallest == files.largest == FileSize("cat/0.png", 8, 6)

    def test_every_damaged_file_is_a_fault(self, tmp_path: Path) -> None:
        for number in range(12):
            draw(tmp_path / f"cat/{number:02}.png", number)
        broken = {"cat/00.png": b"", "cat/05.png": b"text", "cat/11.png": b"\x89PNG\r\n\x1a\n"}
        for name, content in broken.items():
            (tmp_path / name).write_bytes(content)
        Image.new("F", (3, 3)).save(tmp_path / "cat/06.png", "TIFF")
        shutil.copy(tmp_path / "cat/04.png", tmp_path / "cat/07.png")
        seen: list[int] = []
        check = check_split(read(tmp_path), split="all", threads=3, progress=seen.append)
        bad = ["cat/00.png", "cat/05.png", "cat/06.png", "cat/11.png"]
        assert [fault.file for fault in check.faults] == bad
        assert {fault.split for fault in check.faults} == {"all"}
        assert all(f"{tmp_path}/{fault.file}" in fault.text for fault in check.faults)
        assert check.num_images == 12  # the files there are
        assert check.files is not None
        assert (check.files.num_undecodable, check.files.modes) == (4, {"RGB": 8})
        # Places among the decodable ones are not places in the split.
        assert check.copies.named == (Copy("cat/07.png", "cat", "cat/04.png", "cat"),)
        assert seen == list(range(1, 13))

    def test_files_that_vanish_meanwhile_are_faults(self, tmp_path: Path) -> None:
        for number in range(3):
            draw(tmp_path / f"cat/{number}.png", number)
        files = read(tmp_path)
        (tmp_path / "cat/1.png").unlink()
        assert [fault.file for fault in check_split(files, split="all").faults] == ["cat/1.png"]

    def test_nothing_can_be_decoded(self, tmp_path: Path) -> None:
        (tmp_path / "cat").mkdir()
        for name in ("1.jpg", "2.jpg"):
            (tmp_path / "cat" / name).touch()
        check = check_split(read(tmp_path), split="all")
        assert check.files is not None
        assert (check.files.smallest, check.files.largest, check.files.modes) == (None, None, {})
        # Two empty files are no copies but two faults.
        assert (check.copies.count, len(check.faults)) == (0, 2)

    def test_copies_are_equal_bytes(self, tmp_path: Path) -> None:
        draw(tmp_path / "train/cat/1.png", 1)
        draw(tmp_path / "train/dog/2.png", 2)
        (tmp_path / "val/dog").mkdir(parents=True)
        shutil.copy(tmp_path / "train/cat/1.png", tmp_path / "val/dog/leak.png")
        with Image.open(tmp_path / "train/dog/2.png") as image:
            image.save(tmp_path / "val/dog/3.bmp")  # the same pixels in other bytes
        train, val = (check_split(read(tmp_path, split), split=split) for split in ("train", "val"))
        assert copies_between(train, val) == Copies(1, 1, (Copy("dog/leak.png", "dog", "cat/1.png", "cat"),))

    def test_labels_of_copies_beside_damaged_files(self, tmp_path: Path) -> None:
        for split in ("train", "val"):
            draw(tmp_path / split / "cat/0.png", 0).write_bytes(b"")
            draw(tmp_path / split / "cat/1.png", 1)
            draw(tmp_path / split / "dog/2.png", 2)
        train, val = (check_split(read(tmp_path, split), split=split) for split in ("train", "val"))
        copies = copies_between(train, val)
        assert (copies.count, copies.other_label) == (2, 0)
        assert copies.named[1] == Copy("dog/2.png", "dog", "dog/2.png", "dog")

    def test_other_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        draw(tmp_path / "cat/1.png", 1)
        for number in range(7):
            (tmp_path / f"cat/{number}.txt").touch()
        monkeypatch.setattr(rescli.data.folders.walk, "_MOST_NAMED", 2)
        files = check_split(read(tmp_path), split="all").files
        assert files is not None
        assert (files.num_other_files, len(files.other_files)) == (7, 2)

    def test_the_number_of_threads_changes_nothing(self, tmp_path: Path) -> None:
        for number in range(20):
            draw(tmp_path / f"{number % 3}/{number}.png", number % 15, size=(number + 1, 4))
        (tmp_path / "1/4.png").write_bytes(b"")

        def told(threads: int) -> dict[str, object]:
            check = check_split(read(tmp_path), split="all", threads=threads)
            return {f.name: getattr(check, f.name) for f in dataclasses.fields(check) if f.name != "contents"}

        assert told(1) == told(4)


def test_pixels_and_names_of_cifar(fake_cifar: Any) -> None:
    sets = read_cifar(fake_cifar.cifar, fake_cifar.root, ("train", "test"), val_size=0, split_seed=0)
    train, test = (check_split(images, split=split) for split, images in sets.items())
    assert (train.copies.count, copies_between(train, test).count) == (0, 0)
    twice = dataclasses.replace(sets["test"], images_NHWC=sets["train"].images_NHWC[[3, 3, 5, 6]])
    assert copies_between(train, check_split(twice, split="test")).count == 4


@pytest.mark.realdata
def test_no_two_images_of_real_cifar10_are_equal(cifar_root: Path) -> None:
    sets = read_cifar(CIFAR10, cifar_root, ("train", "test"), val_size=0, split_seed=0)
    contents = {pixels.tobytes() for images in sets.values() for pixels in images.images_NHWC.numpy()}
    assert len(contents) == 60_000
    train, test = (check_split(images, split=split) for split, images in sets.items())
    assert (train.copies.count, test.copies.count, copies_between(train, test).count) == (0, 0, 0)
    assert test.images_per_class == (1000,) * 10
