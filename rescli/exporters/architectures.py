"""Which of our networks other libraries have, and what they call them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypedDict

from pydantic import JsonValue
from torch import Tensor

from rescli.models.layout import stage_counts
from rescli.models.specs import BasicBlockSpec, BottleneckBlockSpec, PlainSpec, ResNetSpec
from rescli.spec.base import ModelSpec

__all__ = [
    "Architecture",
    "standalone_architecture",
    "torchvision_name",
    "transformers_config",
    "transformers_state",
    "why_not_torchvision",
]

_BLOCKS = (BasicBlockSpec, BottleneckBlockSpec)


class Architecture(TypedDict):
    """The arguments of ``standalone_resnet.ResNet``."""

    blocks_per_stage: list[int]
    width: int
    block: str
    shortcut: str | None
    stride_on: str
    large_stem: bool
    num_classes: int


def torchvision_name(model: ModelSpec) -> str | None:
    """``resnet50`` and so on: what torchvision and timm both call it; None where they have no such net."""
    return None if why_not_torchvision(model) else f"resnet{getattr(model, 'depth', '')}"


def why_not_torchvision(model: ModelSpec) -> str | None:
    """What is different, where torchvision and timm have no such network; else None."""
    if not isinstance(model, ResNetSpec) or not isinstance(model.block, _BLOCKS):
        return f"they have no {model.name}"
    if model.family != "imagenet":
        return f"they have the networks of Table 1 alone, and none of 6n+2 layers such as {model.name}"
    if model.width != 64:
        return f"their {model.name} has a stem of 64 channels, this one of {model.width}"
    if model.shortcut != "B":
        return f"their {model.name} has shortcut B, this one {model.shortcut}"
    if model.block.kind == "bottleneck" and model.stride_on != "3x3":
        return (
            f"their {model.name} has the stride on the 3x3 convolution of a bottleneck, this one, as the "
            "paper's, on the 1x1"
        )
    return None


def transformers_config(model: ModelSpec) -> dict[str, JsonValue] | None:
    """The configuration of ``transformers.ResNetForImageClassification`` for this network.

    Its bottlenecks have the stride on either convolution.

    Returns:
        None where transformers has no such network.
    """
    if (
        not isinstance(model, ResNetSpec)
        or not isinstance(model.block, _BLOCKS)
        or model.family != "imagenet"
        or model.shortcut != "B"
    ):
        return None
    expansion = model.block.expansion
    return {
        "model_type": "resnet",
        "architectures": ["ResNetForImageClassification"],
        "num_channels": 3,
        "embedding_size": model.width,
        "hidden_sizes": [model.width * 2**stage * expansion for stage in range(4)],
        "depths": [*stage_counts("imagenet", model.depth)],
        "layer_type": model.block.kind,
        "hidden_act": "relu",
        "downsample_in_first_stage": False,
        "downsample_in_bottleneck": model.block.kind == "bottleneck" and model.stride_on == "1x1",
    }


def transformers_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under the names of ``transformers.ResNetForImageClassification``."""
    return {_transformers_tensor(name): tensor for name, tensor in tensors.items()}


def _transformers_tensor(name: str) -> str:
    if match := re.fullmatch(r"(conv|bn)1\.(\w+)", name):
        return f"resnet.embedder.embedder.{_LAYERS[match[1]]}.{match[2]}"
    if match := re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn)(\d)\.(\w+)", name):
        stage, layer = int(match[1]) - 1, int(match[4]) - 1
        block = f"resnet.encoder.stages.{stage}.layers.{match[2]}"
        return f"{block}.layer.{layer}.{_LAYERS[match[3]]}.{match[5]}"
    if match := re.fullmatch(r"layer(\d)\.(\d+)\.downsample\.([01])\.(\w+)", name):
        part = "convolution" if match[3] == "0" else "normalization"
        return f"resnet.encoder.stages.{int(match[1]) - 1}.layers.{match[2]}.shortcut.{part}.{match[4]}"
    return name.replace("fc.", "classifier.1.")


_LAYERS = {"conv": "convolution", "bn": "normalization"}


def standalone_architecture(model: ModelSpec, *, num_classes: int) -> Architecture | None:
    """What ``standalone_resnet.py`` builds the network from; None where a plugin made it."""
    if not isinstance(model, ResNetSpec | PlainSpec) or not isinstance(model.block, _BLOCKS):
        return None
    convs = 3 if model.block.kind == "bottleneck" else 2
    return {
        "blocks_per_stage": list(stage_counts(model.family, model.depth, convs_per_block=convs)),
        "width": model.width,
        "block": model.block.kind,
        "shortcut": model.shortcut if isinstance(model, ResNetSpec) else None,
        "stride_on": model.stride_on if isinstance(model, ResNetSpec) else "1x1",
        "large_stem": model.family == "imagenet",
        "num_classes": num_classes,
    }
