import json
from dataclasses import FrozenInstanceError
from typing import ClassVar, Literal

import pytest

from rescli import registry
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
        ("ten-crop", PHOTOS, 32, "trained on 224x224 images; this one was trained on 32x32"),
        ("multi-scale", PHOTOS, 32, "trained on 224x224 images"),
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
