from __future__ import annotations

import pytest
import torch

from rescli.importers.guess import family_and_depth, shortcut_option
from rescli.models.specs import model_spec


def names(name: str, image_size: int | None = None, **given: str) -> set[str]:
    with torch.device("meta"):
        net = model_spec(name, image_size=image_size, **given).build(num_classes=10, image_size=32, seed=0)
    return set(net.state_dict())


@pytest.mark.parametrize("depth", [8, 20, 56, 110])
def test_cifar_depths(depth: int) -> None:
    assert family_and_depth(names(f"resnet-{depth}")) == ("cifar", depth)
    assert family_and_depth(names(f"plain-{depth}", 32)) == ("cifar", depth)


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_depths_of_table_1(depth: int) -> None:
    """34 and 50 have the same stages and differ in their blocks."""
    assert family_and_depth(names(f"resnet-{depth}", 224)) == ("imagenet", depth)


def test_bottlenecks_on_cifar_are_9n_plus_2() -> None:
    assert family_and_depth(names("resnet-29", 32, block="bottleneck")) == ("cifar", 29)


@pytest.mark.parametrize(
    "strange", [set(), {"a", "b"}, {"layer1.0.x"}, {f"layer{s}.{s}.x" for s in (1, 2, 3, 4, 5)}]
)
def test_nothing_is_made_up(strange: set[str]) -> None:
    assert family_and_depth(strange) is None


@pytest.mark.parametrize("option", ["A", "B", "C"])
def test_shortcut_options(option: str) -> None:
    assert shortcut_option(names("resnet-8", shortcut=option)) == option
    assert shortcut_option(names("resnet-20", shortcut=option)) == option
