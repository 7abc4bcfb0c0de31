"""The validation pass of a run while it trains: each image once, by the single view of its set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn

from rescli.data.labelled_images import LabelledImages
from rescli.data.normalization import Normalization
from rescli.evaluation.logits.predict import predict_views
from rescli.evaluation.metrics import result_from_logits
from rescli.evaluation.protocols import Views
from rescli.evaluation.views import ViewBatch, view_batches
from rescli.hardware.numerics import Numerics
from rescli.hardware.ranks import ALONE, Ranks
from rescli.training.events import EvalResult

__all__ = ["WHOLE", "evaluate"]

WHOLE = Views()
"""The image as it is."""


def evaluate(
    model: nn.Module,
    images: LabelledImages,
    normalization: Normalization,
    *,
    batch_size: int,
    numerics: Numerics,
    views: Views = WHOLE,
    ranks: Ranks = ALONE,
    forward: Callable[[torch.Tensor], torch.Tensor] | None = None,
    should_stop: Callable[[], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvalResult | None:
    """Errors of one pass, one view an image; neither batch size nor number of ranks changes a count.

    Args:
        model: on the device of ``numerics``; its mode is left as it was.
        images: the validation part.
        normalization: from pixels to the net's inputs.
        batch_size: inputs per forward pass.
        numerics: device and precision.
        views: one view an image.
        ranks: the processes that share the images.
        forward: what gives the model's logits in place of a call of it.
        should_stop: asked before every batch.
        progress: called after every batch with (images done, images of this rank).

    Returns:
        None where ``should_stop`` said yes, and the pass was left.
    """
    ranks.same_buffers(model)
    count, labels_N = len(images), images.labels_N
    if ranks.size > 1:
        images = images.subset(torch.arange(ranks.rank, count, ranks.size))
    batches: Iterable[ViewBatch] = view_batches(
        images, views, normalization, batch_size=batch_size, device=numerics.device
    )
    if progress is not None:
        batches = _counted(progress, batches, len(images))
    try:
        logits_NVK = predict_views(
            model,
            batches if should_stop is None else _until(should_stop, batches),
            num_images=len(images),
            num_views=views.count,
            num_classes=images.num_classes,
            numerics=numerics,
            forward=forward,
        )
    except _Left:
        return None
    return result_from_logits(ranks.together(logits_NVK[:, 0], count), labels_N)


def _counted(
    progress: Callable[[int, int], None], batches: Iterable[ViewBatch], total: int
) -> Iterator[ViewBatch]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch.images)
        progress(done, total)


class _Left(Exception):
    """The pass was asked to stop in its middle."""


def _until(should_stop: Callable[[], bool], batches: Iterable[ViewBatch]) -> Iterator[ViewBatch]:
    for batch in batches:
        if should_stop():
            raise _Left
        yield batch
