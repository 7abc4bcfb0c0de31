"""The nets of other repositories by their definition, with nothing of rescli in them; and a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rescli.spec.base import DatasetSpec


class Original:
    """Random weights with random batch statistics, and what nets in float64 are made of."""

    def __init__(self, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.state: dict[str, Tensor] = {}

    def _convolved(self, name: str, x: Tensor, stride: int) -> Tensor:
        weight = self.state[f"{name}.weight"].double()
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def _normed(self, name: str, x: Tensor) -> Tensor:
        weight, bias, mean, var = (
            self.state[f"{name}.{part}"].double().view(-1, 1, 1)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def _conv(self, name: str, in_channels: int, out_channels: int, kernel: int) -> None:
        shape = (out_channels, in_channels, kernel, kernel)
        scale = (2 / (in_channels * kernel**2)) ** 0.5
        self.state[f"{name}.weight"] = torch.randn(shape, generator=self.random) * scale

    def _norm(self, name: str, channels: int, *, largest: float = 0.4) -> None:
        # Scales well below 1 in the branches, so that the stream of a hundred layers stays of the size of
        # the images; around 1 where the whole stream passes, so that it does not fade.
        self.state[f"{name}.weight"] = torch.rand(channels, generator=self.random) * largest
        self.state[f"{name}.bias"] = torch.randn(channels, generator=self.random) * 0.1
        self.state[f"{name}.running_mean"] = torch.randn(channels, generator=self.random) * 0.5
        self.state[f"{name}.running_var"] = torch.rand(channels, generator=self.random) + 0.5

    def _head(self, name: str, channels: int, num_classes: int) -> None:
        self.state[f"{name}.weight"] = torch.randn(num_classes, channels, generator=self.random) / channels
        self.state[f"{name}.bias"] = torch.randn(num_classes, generator=self.random)

    def _logits(self, name: str, x: Tensor) -> Tensor:
        return x.mean((2, 3)) @ self.state[f"{name}.weight"].double().T + self.state[f"{name}.bias"].double()


class Akamaster(Original):
    """The nets of akamaster/pytorch_resnet_cifar10."""

    def __init__(
        self, depth: int, *, width: int = 16, num_classes: int = 10, option: str = "A", seed: int = 0
    ) -> None:
        super().__init__(seed)
        self.blocks_per_stage = (depth - 2) // 6
        self._conv("conv1", 3, width, 3)
        self._norm("bn1", width)
        channels = width
        for stage in (1, 2, 3):
            planes = width * 2 ** (stage - 1)
            for index in range(self.blocks_per_stage):
                block = f"layer{stage}.{index}"
                self._conv(f"{block}.conv1", channels, planes, 3)
                self._norm(f"{block}.bn1", planes)
                self._conv(f"{block}.conv2", planes, planes, 3)
                self._norm(f"{block}.bn2", planes)
                if option == "B" and channels != planes:
                    self._conv(f"{block}.shortcut.0", channels, planes, 1)
                    self._norm(f"{block}.shortcut.1", planes)
                channels = planes
        self._head("linear", channels, num_classes)

    def logits(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, num_classes), in float64."""
        x = F.relu(self._normed("bn1", self._convolved("conv1", images.double(), 1)))
        for stage in (1, 2, 3):
            for index in range(self.blocks_per_stage):
                block = f"layer{stage}.{index}"
                stride = 2 if stage > 1 and index == 0 else 1
                out = F.relu(self._normed(f"{block}.bn1", self._convolved(f"{block}.conv1", x, stride)))
                out = self._normed(f"{block}.bn2", self._convolved(f"{block}.conv2", out, 1))
                x = F.relu(out + self._beside(block, x, out.shape[1], stride))
        return self._logits("linear", x)

    def _beside(self, block: str, x: Tensor, planes: int, stride: int) -> Tensor:
        if f"{block}.shortcut.0.weight" in self.state:
            return self._normed(f"{block}.shortcut.1", self._convolved(f"{block}.shortcut.0", x, stride))
        if x.shape[1] == planes:
            return x
        x = x[:, :, ::2, ::2]
        zeros = torch.zeros(x.shape[0], planes // 4, *x.shape[2:], dtype=x.dtype)
        return torch.cat([zeros, x, zeros], 1)


class Pycls(Original):
    """The residual nets of facebookresearch/pycls: CIFAR's with three stages, ImageNet's with four."""

    def __init__(
        self,
        counts: Sequence[int],
        *,
        bottlenecks: bool = False,
        stride_1x1: bool = True,
        num_classes: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        self.counts, self.bottlenecks, self.stride_1x1 = counts, bottlenecks, stride_1x1
        self.large = len(counts) == 4
        channels = 64 if self.large else 16
        self._conv("stem.conv", 3, channels, 7 if self.large else 3)
        self._norm("stem.bn", channels, largest=2)
        for block, stride, inner in self._blocks():
            outer = inner * (4 if bottlenecks else 1)
            if stride != 1 or channels != outer:
                self._conv(f"{block}.proj", channels, outer, 1)
                self._norm(f"{block}.bn", outer, largest=2)
            widths = (channels, inner, inner, outer) if bottlenecks else (channels, outer, outer)
            kernels = (1, 3, 1) if bottlenecks else (3, 3)
            for letter, kernel, entering, leaving in zip("abc", kernels, widths, widths[1:], strict=False):
                self._conv(f"{block}.f.{letter}", entering, leaving, kernel)
                self._norm(f"{block}.f.{letter}_bn", leaving)
            channels = outer
        self._head("head.fc", channels, num_classes)

    def logits(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), the channels as pycls gives them to this net -> (N, num_classes), in float64."""
        x = self._convolved("stem.conv", images.double(), 2 if self.large else 1)
        x = F.relu(self._normed("stem.bn", x))
        if self.large:
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        for block, stride, _ in self._blocks():
            beside = x
            if f"{block}.proj.weight" in self.state:
                beside = self._normed(f"{block}.bn", self._convolved(f"{block}.proj", x, stride))
            x = F.relu(beside + self._branch(f"{block}.f", x, stride))
        return self._logits("head.fc", x)

    def _branch(self, f: str, x: Tensor, stride: int) -> Tensor:
        strides = {"a": stride, "b": 1}
        if self.bottlenecks:
            strides = {"a": stride if self.stride_1x1 else 1, "b": 1 if self.stride_1x1 else stride, "c": 1}
        for letter, step in strides.items():
            x = self._normed(f"{f}.{letter}_bn", self._convolved(f"{f}.{letter}", x, step))
            if letter != max(strides):
                x = F.relu(x)
        return x

    def _blocks(self) -> list[tuple[str, int, int]]:
        """Name, stride, and channels of the 3x3 convolution."""
        width = 64 if self.large else 16
        return [
            (f"s{stage}.b{number}", 2 if stage > 1 and number == 1 else 1, width * 2 ** (stage - 1))
            for stage, count in enumerate(self.counts, start=1)
            for number in range(1, count + 1)
        ]


class BirdsSpec(DatasetSpec):
    """Seven kinds of birds, for nets of the ImageNet family."""

    kind: Literal["birds"] = "birds"

    @property
    def image_size(self) -> int:
        return 224

    @property
    def num_classes(self) -> int:
        return 7

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple("abcdefg")

    @property
    def sizes(self) -> dict[str, int]:
        return {}

    def build(self, data_root: Any, splits: Any) -> Any:
        raise AssertionError("an import reads no image")


@pytest.fixture
def akamaster() -> type[Akamaster]:
    return Akamaster


@pytest.fixture
def pycls() -> type[Pycls]:
    return Pycls


@pytest.fixture
def birds() -> BirdsSpec:
    return BirdsSpec()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
