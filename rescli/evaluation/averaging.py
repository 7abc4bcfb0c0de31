"""From the logits of views to the one prediction of an image, of one net or of several.

Everything is float64 and in logarithms; N images, V views, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from rescli.errors import UnknownNameError
from rescli.evaluation.protocols import AVERAGES, Average

__all__ = ["average_models", "average_views", "within"]

_CHUNK = 4096
"""Images at a time: 50,000 images of ten views and 1000 classes would take 4 GB in float64."""


def average_views(logits_NVK: torch.Tensor, average: Average) -> torch.Tensor:
    """Log-probabilities float64 (N, K) of all views of an image together.

    Args:
        logits_NVK: (N, V, K).
        average: ``probabilities``, the logarithm of the mean of the softmax probabilities, as the paper and
            its authors' released code; ``logits``, the log-softmax of the mean logits.

    Raises:
        UnknownNameError: nothing else is averaged.
    """
    _require_known(average)
    parts = []
    for chunk_NVK in torch.split(logits_NVK, _CHUNK):
        if average == "probabilities":
            parts.append(_log_mean(chunk_NVK.double().log_softmax(2), 1))
        else:
            parts.append(chunk_NVK.double().mean(1).log_softmax(1))
    return torch.cat(parts)


def average_models(log_probabilities: Sequence[torch.Tensor], average: Average) -> torch.Tensor:
    """Log-probabilities float64 (N, K) of an ensemble, from those of its members.

    With ``logits`` it is made of the mean of the members' logits: log-probabilities differ from logits by one
    number an image and member, which the softmax does not see.

    Raises:
        UnknownNameError: nothing else is averaged.
    """
    _require_known(average)
    if average == "probabilities":
        return _log_mean(torch.stack(list(log_probabilities)), 0)
    return torch.stack(list(log_probabilities)).mean(0).log_softmax(1)


def within(log_probabilities_NK: torch.Tensor, classes: Sequence[int]) -> torch.Tensor:
    """Log-probabilities (N, len(classes)) given that the class is one of these."""
    return log_probabilities_NK[:, list(classes)].log_softmax(1)


def _require_known(average: str) -> None:
    if average not in AVERAGES:
        raise UnknownNameError("average", average, AVERAGES)


def _log_mean(log_values: torch.Tensor, dim: int) -> torch.Tensor:
    return log_values.logsumexp(dim) - math.log(log_values.shape[dim])
