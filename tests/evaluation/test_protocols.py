import json
from dataclasses import FrozenInstanceError
from typing import ClassVar, Literal

import pytest

from rescli import registry
from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.specs import ImageNetSpec, ShapesSpec
from rescli.errors import UnknownNameError, UsageError
from rescli.evaluation.protocols import (
    CENTER224,
    MULTI_SCALE,
    SINGLE,
    TEN_CROP,
    Views,
    choose_protocol,
    default_protocol,
    named_protocol,
)
from rescli.spec.base import DatasetSpec

SMALL, PHOTOS = ShapesSpec(), ImageNetSpec()


def test_every_protocol_is_registered_under_its_own_name_and_can_be_chosen():
    names = registry.names("protocols")
    assert names == ["center224", "flip", "multi-scale", "single", "ten-crop"]
    assert [named_protocol(name).name for name in names] == names
    assert choose_protocol("flip", PHOTOS) is choose_protocol("flip", SMALL) is named_protocol("flip")


def test_the_default_is_the_single_view_of_the_set():
    assert choose_protocol(None, SMALL) is default_protocol(SMALL) is SINGLE
    assert choose_protocol(None, PHOTOS) is default_protocol(PHOTOS) is CENTER224


def test_a_plugins_photographs_are_tested_as_photographs():
    class PlacesSpec(DatasetSpec):
        kind: Literal["places"] = "places"
        image_size: ClassVar = 224
        num_classes: ClassVar = 2
        sizes: ClassVar = {"train": 2, "val": 2}

        @property
        def any_size(self):
            return True

        def build(self, data_root, splits):
            raise AssertionError("no image is needed")

    assert default_protocol(PlacesSpec()).views(PlacesSpec()) is CENTER224.photos


@pytest.mark.parametrize(
    ("name", "dataset", "image_size", "count"),
    [
        ("single", SMALL, 32, 1),
        ("single", SMALL, 48, 1),
        ("flip", SMALL, 32, 2),
        ("flip", PHOTOS, 224, 2),
        ("center224", PHOTOS, 224, 1),
        ("ten-crop", SMALL, 32, 10),
        ("ten-crop", PHOTOS, 224, 10),
        ("multi-scale", PHOTOS, 224, 10),
        ("multi-scale", SMALL, 32, 6),
    ],
)
def test_the_flag_chooses_by_the_images(name, dataset, image_size, count):
    views = named_protocol(name).views(dataset, image_size=image_size)
    assert views.count == count
    assert f"{count} view" in views.describe()
    assert json.loads(json.dumps(views.choices())) == views.choices()


@pytest.mark.parametrize(
    ("name", "image_size", "sides", "crop", "window"),
    [
        ("flip", 64, (73,), 64, None),
        ("ten-crop", 32, (36,), 32, None),
        ("ten-crop", 448, (512,), 448, None),
        ("multi-scale", 64, (64, 73, 109, 137, 182), None, 2),
        ("multi-scale", 32, (32, 36, 54, 68, 91), None, 8),
        ("center96", 96, (109,), 96, None),
    ],
)
def test_other_sizes_are_in_proportion(name, image_size, sides, crop, window):
    dataset = ImageFolderSpec(image_size=image_size)
    views = named_protocol(name).views(dataset)
    assert (views.shorter_sides, views.crop, views.window) == (sides, crop, window)
    assert views == named_protocol(name).views(PHOTOS.seen_as(dataset))


def test_the_single_view_is_named_by_the_size():
    protocol = default_protocol(ImageFolderSpec(image_size=64))
    assert (protocol.name, protocol.summary) == (
        "center64",
        "the 64x64 centre of the image with shorter side 73",
    )
    assert named_protocol("center64") == protocol
    assert named_protocol("center224") is CENTER224


def test_upright_is_a_choice_that_is_told_and_changes_nothing_where_it_is_not_made():
    upright = CENTER224.views(ImageFolderSpec(orientation="upright"))
    assert upright.choices() == {**CENTER224.photos.choices(), "orientation": "upright"}
    assert upright.describe().startswith("turned upright as the file says, shorter side 256")
    assert CENTER224.views(PHOTOS) is CENTER224.photos
    assert "orientation" not in CENTER224.photos.choices()


def test_the_choices_of_the_paper():
    assert MULTI_SCALE.photos.shorter_sides == (224, 256, 384, 480, 640)
    assert (TEN_CROP.photos.shorter_sides, TEN_CROP.photos.crop) == ((256,), 224)
    assert (TEN_CROP.small.pad, TEN_CROP.small.crop) == (4, 32)
    assert "7x7 average and classifier" in MULTI_SCALE.photos.describe()


@pytest.mark.parametrize(
    ("name", "dataset", "image_size", "reason"),
    [
        ("single", PHOTOS, 224, "not for photographs of any size"),
        ("center224", SMALL, 32, "not for 32x32 images"),
        ("ten-crop", SMALL, 48, "trained on 32x32 images; this one was trained on 48x48"),
        ("center224", PHOTOS, 32, "trained on 224x224 images; this one was trained on 32x32"),
        ("center64", PHOTOS, 224, "trained on 64x64 images; this one was trained on 224x224"),
    ],
)
def test_images_that_a_protocol_is_not_for_are_refused(name, dataset, image_size, reason):
    with pytest.raises(UsageError, match=reason):
        named_protocol(name).views(dataset, image_size=image_size)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="Did you mean 'ten-crop'"):
        named_protocol("tencrop")


def test_a_plugin_that_registers_something_else_is_named():
    with (
        registry.override("protocols", "mine", 5),
        pytest.raises(UsageError, match="is a int, not a Protocol"),
    ):
        named_protocol("mine")


def test_protocols_are_frozen():
    with pytest.raises(FrozenInstanceError):
        SINGLE.name = "double"
    with pytest.raises(FrozenInstanceError):
        SINGLE.small.pad = 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"positions": "five"},
        {"positions": "whole", "crop": 32},
        {"positions": "dense"},
        {"positions": "whole", "window": 7},
        {"positions": "center", "crop": 224, "shorter_sides": (200,)},
        {"positions": "whole", "pad": 4, "shorter_sides": (256,)},
    ],
)
def test_choices_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(ValueError, match=r"contradict|does not fit|either"):
        Views(**wrong)
