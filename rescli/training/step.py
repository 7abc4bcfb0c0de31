"""One training step: forward, loss, backward, update. Nothing here waits for the device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from rescli.hardware.numerics import Numerics
from rescli.optim.optimizer import Optimizer

__all__ = ["train_step"]


def train_step(
    model: nn.Module,
    optimizer: Optimizer,
    images_NCHW: torch.Tensor,
    labels_N: torch.Tensor,
    *,
    numerics: Numerics,
) -> torch.Tensor:
    """Update the model once.

    Returns:
        float32 (2,) on the device (float64 of a net in float64): the mean loss and the number of correct
        images, both of the net as it was before the update.
    """
    with numerics.autocast():
        logits_NK = model(images_NCHW)
    # fp32 at least: a net in float64 keeps its own.
    logits_NK = logits_NK.to(torch.promote_types(logits_NK.dtype, torch.float32))
    loss = F.cross_entropy(logits_NK, labels_N)
    (loss * numerics.loss_scale if numerics.loss_scale != 1 else loss).backward()  # type: ignore[no-untyped-call]
    if numerics.loss_scale != 1:
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        torch._foreach_mul_(gradients, 1 / numerics.loss_scale)
    optimizer.step()
    optimizer.zero_grad()
    with torch.no_grad():
        correct = (logits_NK.argmax(1) == labels_N).sum()
        return torch.stack((loss.detach(), correct.to(loss.dtype)))
