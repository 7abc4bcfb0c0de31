"""Exact figures from logits."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from rescli.training.events import EvalResult

__all__ = ["result_from_logits", "wilson_interval"]


def result_from_logits(logits_NK: torch.Tensor, labels_N: torch.Tensor) -> EvalResult:
    """Errors in percent and mean cross-entropy; counts are exact, sums are float64.

    logits_NK: (N, K) with N > 0. Of equal logits the class with the lower index wins top-1, as in argmax.
    """
    num_images, num_classes = logits_NK.shape
    labels_N1 = labels_N[:, None]
    top5 = logits_NK.topk(min(5, num_classes), dim=1).indices
    top1_correct = int((logits_NK.argmax(1) == labels_N).sum())
    top5_correct = int((top5 == labels_N1).any(1).sum())
    losses = F.cross_entropy(logits_NK.double(), labels_N, reduction="sum")
    return EvalResult(
        num_images=num_images,
        top1_error=100 * (num_images - top1_correct) / num_images,
        top5_error=100 * (num_images - top5_correct) / num_images,
        loss=float(losses) / num_images,
    )


def wilson_interval(error_percent: float, num_images: int) -> tuple[float, float]:
    """95 % interval of an error rate, both in percent (Wilson 1927): sound near 0 % too."""
    z, n = 1.959963984540054, num_images
    p = error_percent / 100
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)
