"""Names to kinds and depths."""

from __future__ import annotations

import pytest

from rescli import registry
from rescli.errors import UnknownNameError, UsageError
from rescli.models.naming import (
    default_image_size,
    neighbours,
    parse_model_name,
    table1_depths,
)
from rescli.paper import CIFAR_DEPTHS, IMAGENET_DEPTHS


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("resnet-56", ("resnet", 56)),
        ("plain-18", ("plain", 18)),
        ("resnet-57", ("resnet", 57)),  # whether there is such a net is the spec's to say
        ("resnet", ("resnet", None)),
    ],
)
def test_parses(name: str, parsed: tuple[str, int | None]) -> None:
    assert parse_model_name(name) == parsed


def test_parses_plugins_with_and_without_depth() -> None:
    with registry.override("models", "mynet", object), registry.override("models", "wide-net2", object):
        assert parse_model_name("mynet") == ("mynet", None)
        assert parse_model_name("mynet-12") == ("mynet", 12)
        assert parse_model_name("wide-net2") == ("wide-net2", None)
        assert parse_model_name("wide-net2-16") == ("wide-net2", 16)


@pytest.mark.parametrize(
    ("name", "guess"), [("resnet56", "resnet-56"), ("ResNet-56", "resnet-56"), ("plian-20", "plain-20")]
)
def test_unknown_name_says_the_nearest(name: str, guess: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"unknown model {name!r}.*Did you mean '{guess}'\?"):
        parse_model_name(name)


@pytest.mark.parametrize("name", ["resnet-", "resnet-abc", "resnet-0", "resnet-5.5", "resnet-²"])
def test_depth_that_is_no_number(name: str) -> None:
    with pytest.raises(UsageError, match="positive whole number") as caught:
        parse_model_name(name)
    assert caught.value.hint == "for example resnet-56"


def test_empty_name() -> None:
    with pytest.raises(UnknownNameError, match="plain-N, resnet-N"):
        parse_model_name("")


def test_neighbours_of_6n_plus_2() -> None:
    assert neighbours(57) == (56, 62)
    assert neighbours(5) == (8,)
    assert neighbours(1) == (8,)
    assert neighbours(100, layers_per_n=9) == (92, 101)


def test_neighbours_among_given_depths() -> None:
    assert neighbours(20, among=IMAGENET_DEPTHS) == (18, 34)
    assert neighbours(3, among=IMAGENET_DEPTHS) == (18,)
    assert neighbours(200, among=IMAGENET_DEPTHS) == (152,)


def test_default_image_size() -> None:
    assert [default_image_size(depth) for depth in IMAGENET_DEPTHS] == [224] * 5
    assert [default_image_size(depth) for depth in CIFAR_DEPTHS] == [32] * 6
    assert default_image_size(None) == 32
    assert default_image_size(50, kind="plain") == 32
    assert table1_depths("plain") == (18, 34)
