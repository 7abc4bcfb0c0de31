"""The network of a config.json and a .safetensors file in plain PyTorch, for programs without rescli.

    net, config = load("net.safetensors")           # config.json lies beside it
    logits = net(preprocess(images_NHWC, config))   # uint8 (N, H, W, 3) -> (N, classes)

Needs torch, numpy and safetensors. A second formula of the same networks: nothing of rescli is imported.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

__all__ = ["Block", "ResNet", "load", "preprocess"]


def load(weights: str | Path) -> tuple[ResNet, dict[str, Any]]:
    """The network in evaluation mode and float32, and what config.json says of it."""
    weights = Path(weights)
    config = json.loads((weights.parent / "config.json").read_text(encoding="utf-8"))
    net = ResNet(**config["architecture"], folded=config["batch_norm"] == "folded")
    net.load_state_dict(load_file(weights), strict=True)
    return net.eval(), config


def preprocess(images_NHWC: Tensor, config: dict[str, Any]) -> Tensor:
    """uint8 images of the size of the training images -> normalised float32 (N, 3, H, W)."""
    normalization = config["normalization"]
    mean = _floats(normalization["mean_float32_base64"]).reshape(normalization["shape"])
    x = images_NHWC.permute(0, 3, 1, 2).float() / 255 - mean
    if normalization["std_float32_base64"] is not None:
        x = x / _floats(normalization["std_float32_base64"]).reshape(-1, 1, 1)
    return x


def _floats(text: str) -> Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32))


class Block(nn.Module):
    """Convolutions ``(kernel, channels in, channels out, stride)``, each but the last with a ReLU."""

    def __init__(self, convs: list[tuple[int, int, int, int]], *, shortcut: str | None, folded: bool) -> None:
        super().__init__()
        for number, (kernel, c_in, c_out, stride) in enumerate(convs, start=1):
            conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=folded)
            self.add_module(f"conv{number}", conv)
            self.add_module(f"bn{number}", nn.Identity() if folded else nn.BatchNorm2d(c_out))
        self.count = len(convs)
        self.stride = convs[0][3] * convs[1][3]
        self.shortcut = shortcut
        c_in, c_out = convs[0][1], convs[-1][2]
        if shortcut == "C" or (shortcut == "B" and (self.stride > 1 or c_in != c_out)):
            projection = nn.Conv2d(c_in, c_out, 1, self.stride, bias=folded)
            self.downsample = nn.Sequential(projection, nn.Identity() if folded else nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number in range(1, self.count + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            if number < self.count:
                y = F.relu(y)
        if hasattr(self, "downsample"):
            y = y + self.downsample(x)
        elif self.shortcut is not None:
            x = x[:, :, :: self.stride, :: self.stride]
            y = y + F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return F.relu(y)


class ResNet(nn.Module):
    """images (N, 3, H, W), normalised -> logits (N, num_classes). shortcut None: a plain net."""

    def __init__(
        self,
        *,
        blocks_per_stage: list[int],
        width: int,
        block: str,
        shortcut: str | None,
        stride_on: str,
        large_stem: bool,
        num_classes: int,
        folded: bool,
    ) -> None:
        super().__init__()
        kernel, stride = (7, 2) if large_stem else (3, 1)
        self.conv1 = nn.Conv2d(3, width, kernel, stride, padding=kernel // 2, bias=folded)
        self.bn1 = nn.Identity() if folded else nn.BatchNorm2d(width)
        self.large_stem = large_stem
        self.stages = len(blocks_per_stage)
        channels = width
        for stage, count in enumerate(blocks_per_stage):
            blocks = []
            for index in range(count):
                inner, step = width * 2**stage, 2 if stage and not index else 1
                if block == "basic":
                    convs = [(3, channels, inner, step), (3, inner, inner, 1)]
                else:
                    first, second = (step, 1) if stride_on == "1x1" else (1, step)
                    convs = [(1, channels, inner, first), (3, inner, inner, second), (1, inner, 4 * inner, 1)]
                blocks.append(Block(convs, shortcut=shortcut, folded=folded))
                channels = convs[-1][2]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(images)))
        if self.large_stem:
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits
