"""Batch normalisation as a part of the convolution before it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["fold_batch_norm"]


@torch.no_grad()
def fold_batch_norm(model: nn.Module, example: Tensor) -> int:
    """Fold, in place, every batch normalisation whose input is a convolution's output. Evaluation mode.

    Which belongs to which is seen in a forward pass of ``example`` and not read off names, so that
    plugins' networks can be folded too. The bias is w (b - mean) / sqrt(var + eps) + beta, in float32.

    Returns:
        How many were folded.
    """
    names = {module: name for name, module in model.named_modules()}
    made_by: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def after_conv(conv: nn.Module, _: Any, output: Tensor) -> None:
        # The output is kept alive, or another tensor may get its id.
        made_by[id(output)] = (conv, output)  # type: ignore[assignment]

    def before_norm(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if id(inputs[0]) in made_by:
            pairs.append((made_by[id(inputs[0])][0], norm))  # type: ignore[arg-type]

    hooks: list[Any] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(after_conv))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(before_norm))
    try:
        model(example)
    finally:
        for hook in hooks:
            hook.remove()
    for conv, norm in pairs:
        _replace(model, names[conv], fuse_conv_bn_eval(conv, norm))
        _replace(model, names[norm], nn.Identity())
    return len(pairs)


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
