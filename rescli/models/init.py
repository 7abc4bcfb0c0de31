"""He initialisation, each parameter drawn from a generator of its own.

The draw of a parameter depends on the seed and its name alone, not on what else the net has. So
plain-20 and ResNet-20 with shortcuts A, B or C start from the same tensors wherever both have
them, and an experiment that compares them is paired.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["build_seeded", "initialise", "parameter_seed"]

M = TypeVar("M", bound=nn.Module)


def parameter_seed(seed: int, name: str) -> int:
    """63 bits that depend on both arguments, the same in every process and on every machine."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def initialise(model: nn.Module, *, seed: int, fan: Literal["in", "out"] = "in") -> None:
    """Set all weights in place, leaving the global random state alone.

    Convolutions: normal, mean 0, standard deviation sqrt(2 / fan) (He et al. 2015,
    arXiv:1502.01852: fan in is eq. 10, fan out eq. 14). Linear layers: the same with fan in
    always, since the ten outputs of a head as fan would make the first logits huge; bias 0.
    Batch normalisation: scale 1, shift 0. Other modules keep what their constructor gave them.

    Tensors on the meta device have no values and are skipped.

    Raises:
        ValueError: ``fan`` is neither ``in`` nor ``out``.
    """
    if fan not in ("in", "out"):
        raise ValueError(f"unknown fan {fan!r}: in or out")
    for prefix, module in model.named_modules():
        name = f"{prefix}." if prefix else ""
        if isinstance(module, nn.Conv2d):
            pixels = math.prod(module.kernel_size)
            channels = module.in_channels if fan == "in" else module.out_channels
            std = math.sqrt(2 / (pixels * channels / module.groups))
            _draw(module.weight, std, parameter_seed(seed, f"{name}weight"))
        elif isinstance(module, nn.Linear):
            _draw(module.weight, math.sqrt(2 / module.in_features), parameter_seed(seed, f"{name}weight"))
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            if module.weight is not None:
                nn.init.ones_(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def build_seeded(make: Callable[[], M], *, seed: int, fan: Literal["in", "out"] = "in") -> M:
    """``make()``, initialised. The result is a function of the seed even where ``make`` draws
    parameters that ``initialise`` does not know, as a plugin's block may; the global random state
    stays as it was.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also reseed the accelerator's generator.
        torch.default_generator.manual_seed(parameter_seed(seed, ""))
        model = make()
    initialise(model, seed=seed, fan=fan)
    return model


@torch.no_grad()
def _draw(weight: Tensor, std: float, seed: int) -> None:
    if weight.is_meta:
        return
    # Drawn on the CPU in fp32 whatever the net's device and type, so those do not change the draw.
    generator = torch.Generator(device="cpu").manual_seed(seed)
    weight.copy_(torch.empty(weight.shape, dtype=torch.float32).normal_(0, std, generator=generator))
