"""The classes of pictures that nobody has labelled: probabilities by any protocol, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from rescli.data.normalization import Normalization
from rescli.evaluation.averaging import average_views
from rescli.evaluation.images.pictures import Picture, picture_set
from rescli.evaluation.images.views import view_batches
from rescli.evaluation.logits.inference import finite_logits
from rescli.evaluation.protocols import Views
from rescli.hardware.numerics import Numerics
from rescli.spec.base import DatasetSpec

__all__ = ["classify"]

_PART = 1024
"""Pictures at a time: their logits, and pictures of one small size, are in memory together."""


def classify(
    model: nn.Module,
    pictures: Sequence[Picture],
    names: Sequence[str],
    *,
    class_names: tuple[str, ...],
    dataset: DatasetSpec,
    views: Views,
    normalization: Normalization,
    numerics: Numerics,
    batch_size: int | None = None,
    skipped: dict[int, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> torch.Tensor:
    """Probabilities float64 (N, K) of each picture, from inputs made as an evaluation makes them.

    Args:
        model: in evaluation mode, on the device of ``numerics``.
        pictures: N of them.
        names: what each is called in errors.
        class_names: of the K outputs.
        dataset: what the net was trained on.
        views: what each picture becomes; softmax probabilities of several are averaged.
        normalization: from pixels to the net's inputs.
        numerics: device and precision.
        batch_size: inputs per forward pass; None for an evaluation's own.
        skipped: gets number and reason of each picture that cannot be read, whose probabilities mean
            nothing; None for an error instead.
        progress: called with (pictures done, all pictures).

    Raises:
        DataError: a picture cannot be read, and ``skipped`` is None.
        NoMemoryError: the device has no memory for such batches.
        CheckpointError: some logits are not finite.
    """
    numerics.configure_backend()
    parts = [torch.zeros((0, len(class_names)), dtype=torch.float64)]
    for start in range(0, len(pictures), _PART):
        chosen = slice(start, start + _PART)
        faults: dict[int, str] | None = None if skipped is None else {}
        images = picture_set(
            pictures[chosen], names[chosen], class_names, dataset=dataset, views=views, skipped=faults
        )
        size = images.evaluation_batch_size if batch_size is None else batch_size

        def done(count: int, _total: int, start: int = start) -> None:
            if progress is not None:
                progress(start + count // views.count, len(pictures))

        logits_NVK = finite_logits(
            model,
            view_batches(images, views, normalization, batch_size=size, device=numerics.device),
            views,
            num_images=len(images),
            num_classes=len(class_names),
            numerics=numerics,
            batch_size=size,
            progress=done,
        )
        parts.append(average_views(logits_NVK, "probabilities").exp())
        if skipped is not None and faults is not None:
            skipped |= {start + number: reason for number, reason in faults.items()}
    return torch.cat(parts)
