"""What a model spec fills in, refuses and builds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from rescli import registry
from rescli.errors import SpecError, UnknownNameError
from rescli.models.blocks import BasicBlock
from rescli.models.specs import BasicBlockSpec, BottleneckBlockSpec, PlainSpec, ResNetSpec, model_spec
from rescli.spec.base import BlockSpec


def test_specs_import_without_torch() -> None:
    code = (
        "import sys; from rescli.models.specs import model_spec;"
        "model_spec('resnet-50').layout(num_classes=9, image_size=64);"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "image_size", "family", "width", "block", "shortcut"),
    [
        ("resnet-20", 32, "cifar", 16, "basic", "A"),
        ("resnet-50", 32, "cifar", 16, "basic", "A"),
        ("resnet-1202", 63, "cifar", 16, "basic", "A"),
        ("resnet-18", 64, "imagenet", 64, "basic", "A"),
        ("resnet-34", 224, "imagenet", 64, "basic", "A"),
        ("resnet-50", 224, "imagenet", 64, "bottleneck", "B"),
        ("resnet-152", 224, "imagenet", 64, "bottleneck", "B"),
    ],
)
def test_complete_follows_the_paper(
    name: str, image_size: int, family: str, width: int, block: str, shortcut: str
) -> None:
    spec = model_spec(name, image_size=image_size)
    assert isinstance(spec, ResNetSpec)
    assert (spec.family, spec.width, spec.block.kind, spec.shortcut) == (family, width, block, shortcut)
    assert (spec.stride_on, spec.init_fan, spec.name) == ("1x1", "in", name)


def test_complete_keeps_given_keys_even_wrong_ones() -> None:
    given = {"depth": "abc", "family": [1], "width": None, "shortcut": 3, "colour": "red"}
    filled = ResNetSpec.complete(given, image_size=32)
    assert {key: filled[key] for key in given} == given
    assert sorted(given) == ["colour", "depth", "family", "shortcut", "width"]  # not changed in place
    depths: list[Any] = [None, "56", 10**30, float("inf"), float("nan"), [], True]
    for depth in depths:
        ResNetSpec.complete({"depth": depth}, image_size=224)
        PlainSpec.complete({"depth": depth}, image_size=32)


def test_complete_is_idempotent_and_round_trips() -> None:
    spec = model_spec("resnet-50", stride_on="3x3")
    dumped = spec.model_dump(mode="json")
    assert ResNetSpec.complete(dumped, image_size=32) == dumped
    assert ResNetSpec.model_validate(dumped) == spec


@pytest.mark.parametrize(
    ("name", "image_size", "reason"),
    [
        ("resnet-57", 32, "57 is not 6n+2; the nearest depths are 56 (n=9) and 62 (n=10)"),
        ("plain-3", 32, "3 is not 6n+2; the nearest depth is 8 (n=1)"),
        ("resnet-2", 32, "2 is not 6n+2; the nearest depth is 8 (n=1)"),
        ("resnet-18", 32, "family = 'imagenet'"),
        ("resnet-19", 224, "which are 18 34 50 101 152; the nearest depths are 18 and 34"),
        ("resnet-20", 224, "family = 'cifar'"),
        ("plain-50", 224, "ImageNet plain nets, which are 18 34; the nearest depth is 34"),
    ],
)
def test_depth_that_does_not_fit_says_why_and_names_neighbours(
    name: str, image_size: int, reason: str
) -> None:
    with pytest.raises(SpecError) as caught:
        model_spec(name, image_size=image_size)
    assert reason in str(caught.value)


def test_check_raises_value_error_word_for_word() -> None:
    spec = ResNetSpec.model_validate(ResNetSpec.complete({"depth": 57}, image_size=32))
    with pytest.raises(
        ValueError, match=r"^57 is not 6n\+2; the nearest depths are 56 \(n=9\) and 62 \(n=10\)$"
    ):
        spec.check(image_size=32)


def test_family_given_outright_beats_image_size() -> None:
    assert model_spec("resnet-20", image_size=224, family="cifar").name == "resnet-20"
    small = model_spec("resnet-18", image_size=32, family="imagenet")
    assert small.model_dump()["width"] == 64


def test_block_must_give_the_named_depth() -> None:
    with pytest.raises(SpecError, match="made of bottleneck blocks"):
        model_spec("resnet-50", block="basic")
    with pytest.raises(SpecError, match=r"21 is not 9n\+2; the nearest depths are 20 \(n=2\) and 29 \(n=3\)"):
        model_spec("resnet-21", block="bottleneck")
    assert model_spec("resnet-164", block="bottleneck", image_size=32).name == "resnet-164"


@pytest.mark.parametrize("depth", [0, -20, "abc", 20.5, None])
def test_depth_is_a_positive_whole_number(depth: Any) -> None:
    with pytest.raises(ValidationError):
        ResNetSpec.model_validate(ResNetSpec.complete({"depth": depth}, image_size=32))


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("resnet-20", {"shortcut": "D"}, "shortcut: must be one of A, B, C .given: 'D'"),
        ("plain-20", {"shortcut": "A"}, "shortcut: unknown key; allowed here: block, depth"),
        ("plain-20", {"stride_on": "3x3"}, "stride_on: unknown key"),
        ("resnet-20", {"block": "basik"}, "unknown block 'basik'.*Did you mean 'basic'"),
        ("resnet-20", {"width": 0}, "width"),
        ("resnet", {}, "depth: is required"),
    ],
)
def test_wrong_fields_are_named(name: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        model_spec(name, **given)


def test_unknown_model() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet-56'"):
        model_spec("resnet56")


@pytest.mark.parametrize("spec_class", [ResNetSpec, PlainSpec])
def test_every_field_is_described(spec_class: type[ResNetSpec | PlainSpec]) -> None:
    undescribed = {key for key, field in spec_class.model_fields.items() if not field.description}
    assert undescribed == {"kind"}


def test_builds_blocks() -> None:
    assert BasicBlockSpec().build(stride_on="3x3") is BasicBlock
    factory = BottleneckBlockSpec().build(stride_on="3x3")
    assert isinstance(factory, partial)
    assert factory(64, 256, 2, None).conv2.stride == (2, 2)


class _Gated(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, 1)
        self.gate = nn.Parameter(torch.randn(out_channels, 1, 1))
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.conv(x) * self.gate
        return out if self.shortcut is None else out + self.shortcut(x)


class _GatedSpec(BlockSpec):
    kind: Literal["gated"] = "gated"

    def build(self, *, stride_on: str) -> Callable[..., nn.Module]:
        return _Gated


def test_plugin_block_builds_reproducibly_and_has_no_layout() -> None:
    with registry.override("blocks", "gated", _GatedSpec):
        spec = model_spec("resnet-14", block="gated")
        assert spec.layout(num_classes=10, image_size=32) is None
        first, second = (spec.build(num_classes=10, image_size=32, seed=5).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["layer1.0.gate"].std() > 0
