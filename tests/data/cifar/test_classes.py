from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from rescli.data.cifar.classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from rescli.data.cifar.images import CIFAR10, CIFAR100, read_cifar

COARSE = [
    "aquatic_mammals",
    "fish",
    "flowers",
    "food_containers",
    "fruit_and_vegetables",
    "household_electrical_devices",
    "household_furniture",
    "insects",
    "large_carnivores",
    "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes",
    "large_omnivores_and_herbivores",
    "medium_mammals",
    "non-insect_invertebrates",
    "people",
    "reptiles",
    "small_mammals",
    "trees",
    "vehicles_1",
    "vehicles_2",
]


class OldPickle:
    """Python 2's protocol 2, opcode by opcode, as the official files were written."""

    def __init__(self) -> None:
        self.memo = 1

    def put(self) -> bytes:
        self.memo += 1
        return b"q" + bytes([self.memo - 1])

    def text(self, value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode() + self.put()

    def number(self, value: int) -> bytes:
        return b"M" + value.to_bytes(2, "little")

    def texts(self, values: tuple[str, ...] | list[str]) -> bytes:
        return b"]" + self.put() + b"(" + b"".join(map(self.text, values)) + b"e"


def test_cifar10_names_make_the_official_file() -> None:
    old = OldPickle()
    written = b"\x80\x02}" + old.put() + b"("
    written += old.text("num_cases_per_batch") + old.number(10_000)
    written += old.text("label_names") + old.texts(CIFAR10_CLASSES)
    written += old.text("num_vis") + old.number(3072) + b"u."
    assert hashlib.md5(written, usedforsecurity=False).hexdigest() == CIFAR10.files.md5s[CIFAR10.meta]


def test_cifar100_names_make_the_official_file() -> None:
    old = OldPickle()
    written = b"\x80\x02}" + old.put() + b"("
    written += old.text("fine_label_names") + old.texts(CIFAR100_CLASSES)
    written += old.text("coarse_label_names") + old.texts(COARSE) + b"u."
    assert hashlib.md5(written, usedforsecurity=False).hexdigest() == CIFAR100.files.md5s[CIFAR100.meta]


@pytest.mark.realdata
def test_cifar10_names_are_those_of_the_data(cifar_root: Path) -> None:
    sets = read_cifar(CIFAR10, cifar_root, ("test",), val_size=0, split_seed=0)
    assert sets["test"].class_names == CIFAR10_CLASSES
