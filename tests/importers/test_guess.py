from __future__ import annotations

from typing import Any

import pytest
import torch

from rescli import registry
from rescli.importers.guess import family_and_depth, shortcut_option
from rescli.models.specs import model_spec


@pytest.fixture(params=registry.names("importers"))
def importer(request: pytest.FixtureRequest) -> Any:
    return registry.load("importers", request.param)()


def names(importer: Any, name: str, image_size: int | None = None, **given: str) -> set[str]:
    with torch.device("meta"):
        net = model_spec(name, image_size=image_size, **given).build(num_classes=10, image_size=32, seed=0)
    return {importer.their_name(key) for key in net.state_dict()}


@pytest.mark.parametrize("depth", [8, 20, 56, 110])
def test_cifar_depths(importer: Any, depth: int) -> None:
    assert family_and_depth(names(importer, f"resnet-{depth}"), importer) == ("cifar", depth)
    assert family_and_depth(names(importer, f"plain-{depth}", 32), importer) == ("cifar", depth)


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_depths_of_table_1(importer: Any, depth: int) -> None:
    """34 and 50 have the same stages and differ in their blocks."""
    assert family_and_depth(names(importer, f"resnet-{depth}", 224), importer) == ("imagenet", depth)


def test_bottlenecks_on_cifar_are_9n_plus_2(importer: Any) -> None:
    assert family_and_depth(names(importer, "resnet-29", 32, block="bottleneck"), importer) == ("cifar", 29)


@pytest.mark.parametrize(
    "strange", [set(), {"a", "b"}, {"layer1.0.x"}, {f"layer{s}.{s}.x" for s in (1, 2, 3, 4, 5)}]
)
def test_nothing_is_made_up(importer: Any, strange: set[str]) -> None:
    assert family_and_depth(strange, importer) is None
    assert shortcut_option(strange, importer) is None


@pytest.mark.parametrize("option", ["A", "B", "C"])
def test_shortcut_options(importer: Any, option: str) -> None:
    assert shortcut_option(names(importer, "resnet-8", shortcut=option), importer) == option
    assert shortcut_option(names(importer, "resnet-20", shortcut=option), importer) == option
