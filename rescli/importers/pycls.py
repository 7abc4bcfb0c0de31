"""The layout of https://github.com/facebookresearch/pycls and of its model zoo's ResNets.

Its images of ImageNet come from OpenCV and stay in OpenCV's order of channels, blue green red, on the way
into the net. Ours come as red green blue, so the first convolution's input channels are reversed once, here.
Its images of CIFAR come as red green blue.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from rescli.importers.base import Importer
from rescli.models.specs import BasicBlockSpec, BottleneckBlockSpec, ResNetSpec
from rescli.spec.base import ModelSpec

__all__ = ["PyclsImporter"]

_OUTSIDE_BLOCKS = {"conv1": "stem.conv", "bn1": "stem.bn", "fc": "head.fc"}
_IN_BLOCK = {
    "conv1": "f.a",
    "bn1": "f.a_bn",
    "conv2": "f.b",
    "bn2": "f.b_bn",
    "conv3": "f.c",
    "bn3": "f.c_bn",
    "downsample.0": "proj",
    "downsample.1": "bn",
}
_BLOCK_TENSOR = re.compile(r"layer(\d+)\.(\d+)\.(.+)\.([^.]+)")


class PyclsImporter(Importer):
    """``stem.conv stem.bn s1.b1 .. head.fc``: residual nets with option B, in CIFAR's family too.

    The weights of the ImageNet family are taken to be trained on blue green red, as its model zoo's are.
    Its FFCV loader, which came later, gives red green blue, and the tensors do not show which it was.

    Bottlenecks of its model zoo have their stride on the 3x3 convolution; RESNET.STRIDE_1X1 in the
    configuration of other nets says where theirs is.
    """

    kind = "pycls"

    def default_normalization(self, model: ModelSpec) -> str:
        return "imagenet" if _is_of_imagenet(model) else "cifar10-channels-255"

    def recognises(self, names: Collection[str]) -> bool:
        # Its EfficientNets, vision transformers and plain nets lack one of these; its RegNets and ResNeXts
        # have them all, in other shapes than ours.
        return {"stem.conv.weight", "s1.b1.f.a.weight", "head.fc.weight"} <= set(names)

    def unfit(self, model: ModelSpec) -> str | None:
        fits = (
            isinstance(model, ResNetSpec)
            and isinstance(model.block, BasicBlockSpec | BottleneckBlockSpec)
            and model.shortcut == "B"
        )
        return None if fits else "residual nets with shortcut B"

    def their_name(self, name: str) -> str:
        if match := _BLOCK_TENSOR.fullmatch(name):
            stage, index, layer, part = match.groups()
            return f"s{stage}.b{int(index) + 1}.{_IN_BLOCK.get(layer, layer)}.{part}"
        layer, _, part = name.rpartition(".")
        return f"{_OUTSIDE_BLOCKS.get(layer, layer)}.{part}"

    def arrange(self, tensors: Mapping[str, Tensor], model: ModelSpec) -> dict[str, Tensor]:
        """Ours reads red, green and blue where theirs reads blue, green and red."""
        arranged = dict(tensors)
        if _is_of_imagenet(model):
            arranged["conv1.weight"] = tensors["conv1.weight"][:, [2, 1, 0]]
        return arranged


def _is_of_imagenet(model: ModelSpec) -> bool:
    return isinstance(model, ResNetSpec) and model.family == "imagenet"
