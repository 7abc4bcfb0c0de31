"""A model over a split: every image once, in order, single view."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from rescli.evaluation.metrics import result_from_logits
from rescli.training.events import EvalResult
from rescli.training.precision import Numerics

__all__ = ["evaluate", "predict"]


@torch.inference_mode()
def predict(
    model: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], *, numerics: Numerics
) -> tuple[torch.Tensor, torch.Tensor]:
    """All logits float32 (N, K) and labels (N,), on the CPU. The model's mode is left as it was."""
    was_training = model.training
    model.eval()
    try:
        logits, labels = [], []
        for images_NCHW, labels_N in batches:
            with numerics.autocast():
                logits.append(model(images_NCHW).float())
            labels.append(labels_N)
        return torch.cat(logits).cpu(), torch.cat(labels).cpu()
    finally:
        model.train(was_training)


def evaluate(
    model: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], *, numerics: Numerics
) -> EvalResult:
    """Figures of one pass; the batch size changes no count."""
    return result_from_logits(*predict(model, batches, numerics=numerics))
