"""torchvision's layout, which is also timm's for its ResNets, and our own."""

from __future__ import annotations

from collections.abc import Collection

from rescli.importers.base import Importer
from rescli.spec.base import ModelSpec

__all__ = ["TorchvisionImporter"]


class TorchvisionImporter(Importer):
    """``conv1 bn1 layer1 .. downsample fc``: our own names, so nothing is moved.

    Zero padding (option A) is taken to be behind the given channels, as ours is. Bottlenecks of
    torchvision and timm have their stride on the 3x3 convolution. The names show neither, nor do they
    tell a plain net from one with option A: the model that the user names decides.
    """

    kind = "torchvision"

    def default_normalization(self, model: ModelSpec) -> str:
        return "imagenet"

    def recognises(self, names: Collection[str]) -> bool:
        return {"conv1.weight", "layer1.0.conv1.weight", "fc.weight"} <= set(names)
