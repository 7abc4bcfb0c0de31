"""The layout of https://github.com/akamaster/pytorch_resnet_cifar10 and of the many forks of its nets.

Its option A puts zero channels on both sides of the given ones, ours puts them behind. The functions are
the same up to the order of the channels in the residual stream, so the channels are put in our order once,
here, and the net needs no second kind of shortcut.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from rescli.importers.base import Importer
from rescli.models.specs import ResNetSpec
from rescli.spec.base import ModelSpec

__all__ = ["AkamasterImporter", "stream_orders"]

_STAGES = 3
_BLOCK_TENSOR = re.compile(r"layer(\d+)\.(\d+)\.(conv1|conv2|bn2)\.(.+)")


class AkamasterImporter(Importer):
    """``conv1 bn1 layer1..3 shortcut linear``: residual nets of basic blocks with option A or B.

    Its author trained with the channel statistics of ImageNet.
    """

    kind = "akamaster"

    def default_normalization(self, model: ModelSpec) -> str:
        return "imagenet"

    def recognises(self, names: Collection[str]) -> bool:
        # A fourth stage under these names is another family: 6n+2 layers have three.
        has = {"conv1.weight", "layer3.0.conv1.weight", "linear.weight"} <= set(names)
        return has and not any(name.startswith(("layer4.", "fc.")) for name in names)

    def unfit(self, model: ModelSpec) -> str | None:
        # A plain net has the tensors of option A, so the names would not give that mistake away.
        fits = (
            isinstance(model, ResNetSpec)
            and model.family == "cifar"
            and model.block.kind == "basic"
            and model.shortcut in ("A", "B")
            and model.width % 2 == 0
        )
        return None if fits else "residual nets of 6n+2 layers with shortcut A or B"

    def their_name(self, name: str) -> str:
        return re.sub(r"^fc\.", "linear.", name.replace(".downsample.", ".shortcut."))

    def arrange(self, tensors: Mapping[str, Tensor], model: ModelSpec) -> dict[str, Tensor]:
        """Permute every dimension that reads or writes the residual stream; those inside a block stay."""
        assert isinstance(model, ResNetSpec)  # unfit() has seen to it
        arranged = dict(tensors)
        if model.shortcut != "A":
            return arranged
        orders = stream_orders(model.width)
        for name, tensor in tensors.items():
            match = _BLOCK_TENSOR.fullmatch(name)
            if match is None or tensor.ndim == 0:  # the stem, bn1 of a block, or a counter of batches
                continue
            stage, index, layer = int(match[1]), int(match[2]), match[3]
            if layer == "conv1":
                entering = orders[max(stage - 1, 1) if index == 0 else stage]
                arranged[name] = tensor[:, entering]
            else:
                arranged[name] = tensor[orders[stage]]
        arranged["fc.weight"] = tensors["fc.weight"][:, orders[_STAGES]]
        return arranged


def stream_orders(width: int) -> dict[int, Tensor]:
    """Stage to its channel order, int64 (channels,): our channel c is theirs ``order[c]``.

    From stage to stage the c channels become 2c. Theirs: c / 2 zeros, the c channels, c / 2 zeros.
    Ours: the c channels, c zeros. Which of their zeros are which of ours does not matter.
    """
    orders = {1: torch.arange(width)}
    for stage in range(2, _STAGES + 1):
        before = orders[stage - 1]
        pad = len(before) // 2
        front, back = torch.arange(pad), torch.arange(pad + len(before), 2 * len(before))
        orders[stage] = torch.cat([pad + before, front, back])
    return orders
