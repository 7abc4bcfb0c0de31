"""Errors, loss and calibration from logits; counts are exact."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypedDict

import torch
import torch.nn.functional as F

from rescli.evaluation.classes import has_top5
from rescli.training.events import EvalResult

__all__ = [
    "SplitFigures",
    "calibration_error",
    "confusion_matrix",
    "percent",
    "result_from_logits",
    "wilson_interval",
    "with_interval",
]

_CALIBRATION_BINS = 15


class SplitFigures(TypedDict):
    """Errors on one part of a data set in percent, with the 95 % interval of the top-1 error.

    ``top5_error`` is None of five classes or fewer.
    """

    num_images: int
    top1_error: float
    top5_error: float | None
    loss: float
    interval95: list[float]


def result_from_logits(logits_NK: torch.Tensor, labels_N: torch.Tensor) -> EvalResult:
    """Errors in percent and mean cross-entropy; counts are exact, sums are float64.

    Args:
        logits_NK: (N, K) with N > 0. Where logits are equal, the class with the lower index comes first, as
            in argmax. Of five classes or fewer there is no top-5 error: every image would be right.
        labels_N: int64, each in [0, K).
    """
    num_images, num_classes = logits_NK.shape
    labels_N1 = labels_N[:, None]
    own_N1 = logits_NK.gather(1, labels_N1)
    before = (logits_NK == own_N1) & (torch.arange(num_classes) < labels_N1)
    rank_N = ((logits_NK > own_N1) | before).sum(1)
    top1_correct, top5_correct = int((rank_N < 1).sum()), int((rank_N < 5).sum())
    losses = F.cross_entropy(logits_NK.double(), labels_N, reduction="sum")
    return EvalResult(
        num_images=num_images,
        top1_error=100 * (num_images - top1_correct) / num_images,
        top5_error=100 * (num_images - top5_correct) / num_images if has_top5(num_classes) else None,
        loss=float(losses) / num_images,
    )


def wilson_interval(error_percent: float, num_images: int) -> tuple[float, float]:
    """95 % interval of an error rate, both in percent (Wilson 1927): sound near 0 % too."""
    z, n = 1.959963984540054, num_images
    p = error_percent / 100
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)


def percent(error: float | None) -> str:
    """An error as tables show it; a dash where there is none.

    Example:
        >>> percent(7.0), percent(None)
        ('7.00 %', '-')
    """
    return "-" if error is None else f"{error:.2f} %"


def confusion_matrix(scores_NK: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
    """Counts int64 (K, K): row the true class, column the class with the highest score."""
    num_classes = scores_NK.shape[1]
    pairs = labels_N * num_classes + scores_NK.argmax(1)
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def calibration_error(log_probabilities_NK: torch.Tensor, labels_N: torch.Tensor) -> float:
    """Expected calibration error in percent (Guo et al. 2017, section 2), 15 bins of equal width.

    The mean over images of the gap, in their bin, between mean confidence and accuracy.
    """
    highest = log_probabilities_NK.max(1)
    confidences = highest.values.exp().double()
    correct = (highest.indices == labels_N).double()
    # Bin b is (b / 15, (b + 1) / 15], as in the paper's definition.
    bins = (confidences * _CALIBRATION_BINS).ceil().long().clamp(1, _CALIBRATION_BINS) - 1
    gaps = torch.zeros(_CALIBRATION_BINS, dtype=torch.float64).index_add_(0, bins, confidences - correct)
    return 100 * float(gaps.abs().sum()) / len(labels_N)


def with_interval(num_images: int, row: Mapping[str, Any]) -> SplitFigures:
    """The figures of ``row`` with the 95 % interval of the top-1 error.

    Args:
        num_images: how many images the error was counted on.
        row: ``num_images``, ``top1_error`` and ``top5_error`` in percent, ``loss``; other keys are left out.
    """
    low, high = wilson_interval(row["top1_error"], num_images)
    return {
        "num_images": row["num_images"],
        "top1_error": row["top1_error"],
        "top5_error": row["top5_error"],
        "loss": row["loss"],
        "interval95": [low, high],
    }
