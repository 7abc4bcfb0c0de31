"""Numbers agree with their nouns."""

from __future__ import annotations

import pytest

from rescli.plurals import are, counted, every, image_of


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "image", "1 image"),
        (0, "image", "0 images"),
        (12_345, "training image", "12,345 training images"),
        (1, "class", "1 class"),
        (2, "class", "2 classes"),
        (2, "process", "2 processes"),
        (2, "pass", "2 passes"),
        (3, "copy", "3 copies"),
        (2, "way", "2 ways"),
        (1, "CPU core", "1 CPU core"),
    ],
)
def test_the_noun_fits_the_number(count: int, noun: str, text: str) -> None:
    assert counted(count, noun) == text


def test_the_verb_fits_the_number() -> None:
    assert [are(count) for count in (0, 1, 2)] == ["are", "is", "are"]


def test_what_happens_at_each_is_no_number() -> None:
    assert [every(count, "iteration") for count in (1, 20)] == ["every iteration", "every 20 iterations"]


def test_the_whole_set_has_images_and_a_part_its_own() -> None:
    assert [counted(2, image_of(split)) for split in ("all", "val")] == ["2 images", "2 val images"]
