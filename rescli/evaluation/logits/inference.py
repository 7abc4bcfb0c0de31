"""Logits of a set of inputs, with what can go wrong said in words: memory, and numbers that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn

from rescli.errors import CheckpointError, NoMemoryError, first_line
from rescli.evaluation.images.views import ViewBatch
from rescli.evaluation.logits.predict import predict_views
from rescli.evaluation.protocols import Views
from rescli.hardware.memory import is_out_of_memory
from rescli.hardware.numerics import Numerics
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["finite_logits"]


def finite_logits(
    model: nn.Module,
    batches: Iterable[ViewBatch],
    views: Views,
    *,
    num_images: int,
    num_classes: int,
    numerics: Numerics,
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
) -> torch.Tensor:
    """Logits float32 (N, V, K) of every view of every image, all of them finite.

    Args:
        model: on the device of ``numerics``.
        batches: every view of every image once.
        views: what ``batches`` was made by.
        num_images: N.
        num_classes: K.
        numerics: device and precision.
        batch_size: what ``batches`` was made with, for the message where it is too large.
        progress: called after each batch with (inputs done, inputs of all images).

    Raises:
        NoMemoryError: the device has no memory for such batches.
        CheckpointError: some logits are not finite.
    """
    try:
        logits_NVK = predict_views(
            model,
            _counted(batches, num_images * views.count, progress),
            num_images=num_images,
            num_views=views.count,
            num_classes=num_classes,
            numerics=numerics,
            window=views.window,
        )
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise NoMemoryError(
            f"{numerics.device} has no memory for these batches: {first_line(error)}",
            remedy=Remedy("batch_size", max(1, batch_size // 4)),
        ) from error
    broken = int((~logits_NVK.isfinite()).any(2).any(1).sum())
    if broken:
        raise CheckpointError(
            f"{broken} of {counted(num_images, 'image')} {'gives' if broken == 1 else 'give'} logits that "
            f"are not finite in {numerics.precision}.",
            hint="the weights are of no use" if numerics.precision == "fp32" else None,
            remedy=() if numerics.precision == "fp32" else Remedy("precision", "fp32"),
        )
    return logits_NVK


def _counted(
    batches: Iterable[ViewBatch], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[ViewBatch]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch.images)
        if progress is not None:
            progress(done, total)
