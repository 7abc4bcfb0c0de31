"""What a net costs, counted on the net itself with forward hooks; no twin of any forward."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["Complexity", "complexity"]


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """Counts of one net at one image size."""

    params: int
    """Trainable and frozen parameters; no buffers."""
    macs: int
    """Multiply-adds of convolutions and linear layers per image: the paper's FLOPs (Table 1)."""
    activations: int
    """Output elements of all convolutions per image."""


def complexity(model: nn.Module, *, image_size: int, in_channels: int = 3) -> Complexity:
    """Count one forward pass of an (image_size, image_size) image.

    The pass runs on the meta device, so it allocates and computes nothing, and ``model`` stays
    unchanged wherever it lives.

    Args:
        image_size: side of the square image in pixels.
    """
    # Two images, since batch normalisation in training mode refuses a single 1x1 map.
    num_images = 2
    totals = {"macs": 0, "activations": 0}

    def count(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            per_output = module.in_channels // module.groups * math.prod(module.kernel_size)
            totals["activations"] += output.numel()
        else:
            assert isinstance(module, nn.Linear)
            per_output = module.in_features
        totals["macs"] += output.numel() * per_output

    tensors = {
        name: tensor.detach().to("meta")
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
    }
    dtype = next((p.dtype for p in model.parameters()), torch.float32)
    images = torch.empty(num_images, in_channels, image_size, image_size, dtype=dtype, device="meta")
    handles = [
        module.register_forward_hook(count)
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    try:
        with torch.no_grad():
            functional_call(model, tensors, (images,))
    finally:
        for handle in handles:
            handle.remove()
    return Complexity(
        params=sum(parameter.numel() for parameter in model.parameters()),
        macs=totals["macs"] // num_images,
        activations=totals["activations"] // num_images,
    )
