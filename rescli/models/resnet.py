"""ResNets and plain nets for CIFAR (section 4.2) and ImageNet (Table 1), through one module."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from rescli import paper
from rescli.kernels.norm.plain import norm_act
from rescli.models.blocks import BasicBlock, BottleneckBlock
from rescli.models.init import build_seeded
from rescli.models.layout import stage_counts
from rescli.models.shortcuts import make_shortcut

__all__ = ["BlockFactory", "ResNet", "cifar_resnet", "imagenet_resnet"]

BlockFactory: TypeAlias = Callable[[int, int, int, nn.Module | None], nn.Module]
"""``(in_channels, out_channels, stride, shortcut) -> Module``."""


class ResNet(nn.Module):
    """Stem, stages of blocks, global average pool, linear head. Images of any size.

    images (N, 3, H, W) -> logits (N, num_classes), in the head's precision (fp32) even under
    autocast.

    Attributes are named as in torchvision (``conv1 bn1 layer1 .. layer4 fc``), so that state
    dicts interoperate.
    """

    norm_act = staticmethod(norm_act)

    def __init__(
        self,
        *,
        counts: Sequence[int],
        width: int,
        block: BlockFactory,
        expansion: int,
        shortcut: Literal["A", "B", "C"] | None,
        num_classes: int,
        large_stem: bool,
    ) -> None:
        """
        Args:
            counts: number of blocks in each stage.
            width: channels of the stem; stage s has ``width * 2**s * expansion`` output channels.
            shortcut: option of section 3.3, or None for a plain net.
            large_stem: 7x7 convolution with stride 2 and a max pool, instead of a 3x3 convolution.
        """
        super().__init__()
        kernel, stride = (7, 2) if large_stem else (3, 1)
        self.conv1 = nn.Conv2d(3, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if large_stem else nn.Identity()

        self.stage_names = tuple(f"layer{stage + 1}" for stage in range(len(counts)))
        channels = width
        for stage, (name, count) in enumerate(zip(self.stage_names, counts, strict=True)):
            out_channels = width * 2**stage * expansion
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            for index in range(count):
                step = 2 if stage > 0 and index == 0 else 1
                beside = make_shortcut(shortcut, channels, out_channels, step)
                blocks[str(index)] = block(channels, out_channels, step, beside)
                channels = out_channels
            self.add_module(name, nn.Sequential(blocks))
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        # Averaged into the head's own precision, with no copy of the map: under bf16 the logits,
        # and so the loss, are fp32 from here on.
        return self.head(features.mean((2, 3), dtype=self.fc.weight.dtype))

    def features(self, images: Tensor) -> Tensor:
        """The last map: images (N, 3, H, W) -> (N, C, ceil(H / s), ceil(W / s)), s = 4 (CIFAR) or 32."""
        features: Tensor = self.maxpool(self.norm_act(self.bn1, self.conv1(images)))
        for name in self.stage_names:
            features = getattr(self, name)(features)
        return features

    def head(self, pooled: Tensor) -> Tensor:
        """Averaged features (N, C) -> logits (N, num_classes), in fp32 whatever autocast says."""
        device = pooled.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device_type=device, enabled=False):
                return self.fc(pooled)  # type: ignore[no-any-return]
        return self.fc(pooled)  # type: ignore[no-any-return]


def cifar_resnet(
    *,
    depth: int,
    num_classes: int = 10,
    shortcut: Literal["A", "B", "C"] | None = "A",
    width: int = 16,
    block: BlockFactory = BasicBlock,
    expansion: int = 1,
    convs_per_block: int = 2,
    seed: int = 0,
    init_fan: Literal["in", "out"] = "in",
) -> ResNet:
    """The net of section 4.2, initialised: images (N, 3, H, W) -> logits (N, num_classes).

    Args:
        depth: 6n+2 weight layers, or in general ``3 * convs_per_block * n + 2``.
        shortcut: None for the plain net.
        width: channels of the stem and of the first stage, 16 in the paper.
        expansion, convs_per_block: of ``block``.
        seed: of the initial weights.

    Raises:
        ValueError: a depth of another form.
    """
    counts = stage_counts("cifar", depth, convs_per_block=convs_per_block)
    return build_seeded(
        lambda: ResNet(
            counts=counts,
            width=width,
            block=block,
            expansion=expansion,
            shortcut=shortcut,
            num_classes=num_classes,
            large_stem=False,
        ),
        seed=seed,
        fan=init_fan,
    )


def imagenet_resnet(
    *,
    depth: int,
    num_classes: int = 1000,
    shortcut: Literal["A", "B", "C"] | None = "B",
    width: int = 64,
    block: BlockFactory | None = None,
    expansion: int = 1,
    stride_on: Literal["1x1", "3x3"] = "1x1",
    seed: int = 0,
    init_fan: Literal["in", "out"] = "in",
) -> ResNet:
    """The net of Table 1, initialised: images (N, 3, H, W) -> logits (N, num_classes).

    Args:
        depth: 18, 34, 50, 101 or 152.
        shortcut: None for the plain net. The paper has A for 18 and 34, B from 50.
        width: channels of the stem, 64 in the paper.
        block: None for Table 1's: two 3x3 convolutions for 18 and 34, bottlenecks from 50.
        expansion: of ``block`` where one is given.
        stride_on: of Table 1's bottleneck: ``"1x1"`` the paper, ``"3x3"`` torchvision.
        seed: of the initial weights.

    Raises:
        ValueError: a depth that Table 1 does not have.
    """
    counts = stage_counts("imagenet", depth)
    if block is None:
        deep = paper.imagenet_block(depth) == "bottleneck"
        block, expansion = (partial(BottleneckBlock, stride_on=stride_on), 4) if deep else (BasicBlock, 1)
    chosen = block
    return build_seeded(
        lambda: ResNet(
            counts=counts,
            width=width,
            block=chosen,
            expansion=expansion,
            shortcut=shortcut,
            num_classes=num_classes,
            large_stem=True,
        ),
        seed=seed,
        fan=init_fan,
    )
