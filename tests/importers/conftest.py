"""The nets of akamaster/pytorch_resnet_cifar10 by their definition, with nothing of rescli in them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor


class Akamaster:
    """Random weights with random batch statistics, and the logits of the net that they belong to."""

    def __init__(
        self, depth: int, *, width: int = 16, num_classes: int = 10, option: str = "A", seed: int = 0
    ) -> None:
        self.blocks_per_stage = (depth - 2) // 6
        self.random = torch.Generator().manual_seed(seed)
        self.state: dict[str, Tensor] = {}
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
        self.state["linear.weight"] = torch.randn(num_classes, channels, generator=self.random) / channels
        self.state["linear.bias"] = torch.randn(num_classes, generator=self.random)

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
        pooled = x.mean((2, 3))
        return pooled @ self.state["linear.weight"].double().T + self.state["linear.bias"].double()

    def _beside(self, block: str, x: Tensor, planes: int, stride: int) -> Tensor:
        if f"{block}.shortcut.0.weight" in self.state:
            return self._normed(f"{block}.shortcut.1", self._convolved(f"{block}.shortcut.0", x, stride))
        if x.shape[1] == planes:
            return x
        x = x[:, :, ::2, ::2]
        zeros = torch.zeros(x.shape[0], planes // 4, *x.shape[2:], dtype=x.dtype)
        return torch.cat([zeros, x, zeros], 1)

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

    def _norm(self, name: str, channels: int) -> None:
        # Scales well below 1, so that the stream of a hundred layers stays of the size of the images.
        self.state[f"{name}.weight"] = torch.rand(channels, generator=self.random) * 0.4
        self.state[f"{name}.bias"] = torch.randn(channels, generator=self.random) * 0.1
        self.state[f"{name}.running_mean"] = torch.randn(channels, generator=self.random) * 0.5
        self.state[f"{name}.running_var"] = torch.rand(channels, generator=self.random) + 0.5


@pytest.fixture
def akamaster() -> type[Akamaster]:
    return Akamaster


@pytest.fixture
def images() -> Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
