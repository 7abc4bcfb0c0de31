from __future__ import annotations

import pytest

from rescli.data.folders.names import (
    is_archive,
    is_background,
    is_junk,
    named_split,
    near_names,
    same_but_for_spelling,
)
from rescli.data.photos.content import begins_as_image
from rescli.foreign_text import readable


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(("train", "train"), ("Train", "train"), ("training_set", "train"), ("TRAINING", "train")),
        *(("val", "val"), ("valid", "val"), ("Validation", "val"), ("validation-set", "val")),
        *(("test", "test"), ("Testing", "test")),
        *(("trains", None), ("cat", None), ("evaluation", None), ("", None)),
    ],
)
def test_splits_by_any_usual_name(name: str, split: str | None) -> None:
    assert named_split(name) == split


def test_what_systems_and_disks_leave() -> None:
    assert all(map(is_junk, ("__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", ".git", "Thumbs.db")))
    assert not any(map(is_junk, ("cat", "macosx", "eaDir", "runs")))
    assert is_archive("photos.TAR.GZ")
    assert not is_archive("photos.tar.jpg")


def test_background_is_the_first_word() -> None:
    assert all(map(is_background, ("BACKGROUND_Google", "background", "Background noise")))
    assert not any(map(is_background, ("backgrounder", "cat background")))


@pytest.mark.parametrize(
    ("start", "is_image"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(12), True),
        (b"\x89PNG\r\n\x1a\n" + bytes(8), True),
        (b"RIFF\x10\0\0\0WEBP", True),
        (b"RIFF\x10\0\0\0WAVE", False),
        (b"\0\0\0\x18ftypheic", True),
        (b"\0\0\0\x18ftypisom", False),
        (b"\xff\x0a\0\0", True),
        (b"BMW and other cars", False),
        (b"<html>", False),
        (b"", False),
    ],
)
def test_images_by_content(start: bytes, is_image: bool) -> None:
    assert begins_as_image(start) is is_image


def test_names_are_readable_anywhere() -> None:
    assert readable("caf\udce9\n猫") == r"caf\xe9\n猫"


def test_what_was_meant() -> None:
    assert near_names("Bee", ["ant", "bee", "cat"]) == ("bee",)
    assert near_names("golden_retriver", ["golden retriever", "poodle"]) == ("golden retriever",)
    assert near_names("images", ["n01443537"]) == ()
    assert same_but_for_spelling(["Bee", "ant", "bee", "cafe\u0301", "caf\u00e9"]) == [
        ("Bee", "bee"),
        ("cafe\u0301", "caf\u00e9"),
    ]
