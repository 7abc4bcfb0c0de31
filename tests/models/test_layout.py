"""The arithmetic against golden numbers, and against counts on the built nets."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from rescli.models.complexity import complexity
from rescli.models.layout import resnet_layout, stage_counts
from rescli.models.specs import model_spec
from rescli.spec.base import ModelSpec

GOLDEN = tomllib.loads(Path(__file__).with_name("golden_counts.toml").read_text())
CIFAR = [(row, option) for row in GOLDEN["cifar"] for option in row["params"]]
IMAGENET = [(row, option) for row in GOLDEN["imagenet"] for option in row["params"]]


def _layout(family: Any, depth: int, option: Any, **given: Any) -> Any:
    image_size, num_classes = (32, 10) if family == "cifar" else (224, 1000)
    return resnet_layout(
        family=family,
        depth=depth,
        shortcut=None if option == "none" else option,
        width=16 if family == "cifar" else 64,
        block="bottleneck" if family == "imagenet" and depth >= 50 else "basic",
        num_classes=num_classes,
        image_size=image_size,
        **given,
    )


@pytest.mark.parametrize(("row", "option"), CIFAR, ids=lambda v: str(v if isinstance(v, str) else v["depth"]))
def test_cifar_params_and_macs(row: dict[str, Any], option: str) -> None:
    layout = _layout("cifar", row["depth"], option)
    assert layout.params == row["params"][option]
    if option in row["macs_1e6"]:
        assert round(layout.macs / 1e6, 1) == row["macs_1e6"][option]
    if option == "A":  # Table 6
        digits = len(row["paper_params"].rstrip("M").split(".")[1])
        assert f"{layout.params / 1e6:.{digits}f}M" == row["paper_params"]


@pytest.mark.parametrize(
    ("row", "option"), IMAGENET, ids=lambda v: str(v if isinstance(v, str) else v["depth"])
)
def test_imagenet_params_and_macs(row: dict[str, Any], option: str) -> None:
    layout = _layout("imagenet", row["depth"], option)
    assert layout.params == row["params"][option]
    assert round(layout.macs / 1e9, 3) == row["macs_1e9"][option]
    if "macs_3x3_1e9" in row:
        v15 = _layout("imagenet", row["depth"], option, stride_on="3x3")
        assert v15.params == layout.params
        assert round(v15.macs / 1e9, 3) == row["macs_3x3_1e9"][option]


@pytest.mark.parametrize("row", GOLDEN["imagenet"], ids=lambda row: str(row["depth"]))
def test_paper_flops_are_these_macs(row: dict[str, Any]) -> None:
    # Table 1 says 3.8e9 for 50 layers; exact counting gives 3.858e9: cut off, not rounded.
    option = "A" if row["depth"] < 50 else "B"
    macs = _layout("imagenet", row["depth"], option).macs / 1e9
    assert macs == pytest.approx(row["paper_flops_1e9"], abs=0.06)


COMBINATIONS: list[tuple[str, dict[str, Any], int, int]] = [
    *[
        (name, given, image_size, 10)
        for name in ("resnet-8", "resnet-20", "resnet-56", "resnet-110")
        for given in ({"shortcut": "A"}, {"shortcut": "B"}, {"shortcut": "C"})
        for image_size in (32,)
    ],
    *[("plain-20", {}, size, 100) for size in (32, 28, 33)],
    *[
        (f"resnet-{depth}", {"shortcut": option, "stride_on": on}, size, 1000)
        for depth, option, on, size in [
            (18, "A", "1x1", 224),
            (18, "B", "3x3", 224),
            (34, "C", "1x1", 224),
            (50, "A", "1x1", 224),
            (50, "B", "1x1", 224),
            (50, "B", "3x3", 224),
            (50, "C", "3x3", 225),
            (50, "A", "3x3", 97),
            (101, "B", "1x1", 224),
            (152, "B", "3x3", 224),
        ]
    ],
    ("plain-34", {}, 224, 1000),
    ("plain-18", {}, 65, 7),
    ("resnet-164", {"block": "bottleneck", "stride_on": "3x3", "shortcut": "B"}, 32, 10),
    ("resnet-29", {"block": "bottleneck"}, 31, 10),
    ("resnet-14", {"width": 40, "shortcut": "B"}, 32, 10),
    ("resnet-18", {"width": 32, "family": "imagenet"}, 32, 10),
]


@pytest.mark.parametrize(("name", "given", "image_size", "num_classes"), COMBINATIONS)
def test_layout_equals_hooks(name: str, given: dict[str, Any], image_size: int, num_classes: int) -> None:
    spec = model_spec(name, image_size=image_size, **given)
    layout = spec.layout(num_classes=num_classes, image_size=image_size)
    assert layout is not None
    with torch.device("meta"):
        model = spec.build(num_classes=num_classes, image_size=image_size, seed=0)
    counted = complexity(model, image_size=image_size)
    assert (layout.params, layout.macs, layout.activations) == (
        counted.params,
        counted.macs,
        counted.activations,
    )


def _rows(spec: ModelSpec, *, num_classes: int, image_size: int) -> list[tuple[str, int, str, int]]:
    layout = spec.layout(num_classes=num_classes, image_size=image_size)
    assert layout is not None
    assert sum(row.params for row in layout.rows) == layout.params
    assert sum(row.macs for row in layout.rows) == layout.macs
    return [(row.name, row.output_size, row.text, row.stride) for row in layout.rows]


def test_rows_of_table_1() -> None:
    assert _rows(model_spec("resnet-50"), num_classes=1000, image_size=224) == [
        ("conv1", 112, "7×7, 64", 2),
        ("conv2_x", 56, "3×3 max pool, stride 2; [1×1, 64; 3×3, 64; 1×1, 256] × 3", 2),
        ("conv3_x", 28, "[1×1, 128; 3×3, 128; 1×1, 512] × 4", 2),
        ("conv4_x", 14, "[1×1, 256; 3×3, 256; 1×1, 1024] × 6", 2),
        ("conv5_x", 7, "[1×1, 512; 3×3, 512; 1×1, 2048] × 3", 2),
        ("fc", 1, "global average pool, 1000-d fc", 7),
    ]


def test_rows_of_section_4_2() -> None:
    assert _rows(model_spec("plain-56"), num_classes=10, image_size=32) == [
        ("conv1", 32, "3×3, 16", 1),
        ("conv2_x", 32, "[3×3, 16; 3×3, 16] × 9", 1),
        ("conv3_x", 16, "[3×3, 32; 3×3, 32] × 9", 2),
        ("conv4_x", 8, "[3×3, 64; 3×3, 64] × 9", 2),
        ("fc", 1, "global average pool, 10-d fc", 8),
    ]


def test_option_c_has_thirteen_more_projections_than_b_in_resnet_34() -> None:
    # Section 4.1: "thirteen" extra projections, sixteen blocks of which B projects three.
    c, b = (_layout("imagenet", 34, option).convs for option in "CB")
    assert len(c) - len(b) == 13


@pytest.mark.parametrize(("family", "depth"), [("cifar", 2), ("cifar", 57), ("imagenet", 20)])
def test_depths_that_do_not_exist(family: str, depth: int) -> None:
    with pytest.raises(ValueError, match=f"^{depth} is not"):
        stage_counts(family, depth)
