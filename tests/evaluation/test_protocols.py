import json
from dataclasses import FrozenInstanceError

import pytest

from rescli import registry
from rescli.errors import UnknownNameError, UsageError
from rescli.evaluation.protocols import CENTER224, MULTI_SCALE, SINGLE, TEN_CROP, Views, choose_protocol


def test_every_protocol_is_registered_under_its_own_name_and_can_be_chosen():
    names = registry.names("protocols")
    assert names == ["center224", "flip", "multi-scale", "single", "ten-crop"]
    assert [choose_protocol(name, any_size=True).name for name in names] == names


def test_the_default_is_the_single_view_of_the_set():
    assert choose_protocol(None, any_size=False) is SINGLE
    assert choose_protocol(None, any_size=True) is CENTER224


@pytest.mark.parametrize(
    ("name", "any_size", "image_size", "count"),
    [
        ("single", False, 32, 1),
        ("single", False, 48, 1),
        ("flip", False, 32, 2),
        ("flip", True, 224, 2),
        ("center224", True, 224, 1),
        ("ten-crop", False, 32, 10),
        ("ten-crop", True, 224, 10),
        ("multi-scale", True, 224, 10),
        ("multi-scale", False, 32, 6),
    ],
)
def test_the_flag_chooses_by_the_images(name, any_size, image_size, count):
    views = choose_protocol(name, any_size=any_size).views(any_size=any_size, image_size=image_size)
    assert views.count == count
    assert f"{count} view" in views.describe()
    assert json.loads(json.dumps(views.choices())) == views.choices()


def test_the_choices_of_the_paper():
    assert MULTI_SCALE.photos.shorter_sides == (224, 256, 384, 480, 640)
    assert (TEN_CROP.photos.shorter_sides, TEN_CROP.photos.crop) == ((256,), 224)
    assert (TEN_CROP.small.pad, TEN_CROP.small.crop) == (4, 32)
    assert "7x7 average and classifier" in MULTI_SCALE.photos.describe()


@pytest.mark.parametrize(
    ("name", "any_size", "image_size", "reason"),
    [
        ("single", True, 224, "not for photographs of any size"),
        ("center224", False, 32, "not for 32x32 images"),
        ("ten-crop", False, 48, "trained on 32x32 images; this one was trained on 48x48"),
        ("ten-crop", True, 32, "trained on 224x224 images; this one was trained on 32x32"),
        ("multi-scale", True, 32, "trained on 224x224 images"),
    ],
)
def test_images_that_a_protocol_is_not_for_are_refused(name, any_size, image_size, reason):
    with pytest.raises(UsageError, match=reason):
        choose_protocol(name, any_size=any_size).views(any_size=any_size, image_size=image_size)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="Did you mean 'ten-crop'"):
        choose_protocol("tencrop", any_size=False)


def test_a_plugin_that_registers_something_else_is_named():
    with (
        registry.override("protocols", "mine", 5),
        pytest.raises(UsageError, match="is a int, not a Protocol"),
    ):
        choose_protocol("mine", any_size=False)


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
