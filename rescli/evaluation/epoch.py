"""The validation pass of a run while it trains: each image once, by the single view of its set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
from torch import nn

from rescli.data.labelled_images import LabelledImages
from rescli.data.normalization import Normalization
from rescli.data.photos.image_files import ImageFiles
from rescli.errors import DataError
from rescli.evaluation.images.views import ViewBatch, view_batches
from rescli.evaluation.logits.predict import predict_views
from rescli.evaluation.metrics import result_from_logits
from rescli.evaluation.protocols import Views
from rescli.hardware.numerics import Numerics
from rescli.hardware.ranks import ALONE, Ranks
from rescli.plurals import are, counted
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
    skipped: set[str] | None = None,
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
        skipped: gets the names of damaged images, which are then not counted; None for an error instead.
        progress: called after every batch with (images done, images of this rank).

    Raises:
        DataError: an image is damaged, or all that may be skipped are.

    Returns:
        None where ``should_stop`` said yes, and the pass was left.
    """
    ranks.same_buffers(model)
    count, labels_N = len(images), images.labels_N
    names = images.file_names
    if ranks.size > 1:
        images = images.subset(torch.arange(ranks.rank, count, ranks.size))
    damaged: dict[int, str] = {}
    if skipped is not None and isinstance(images, ImageFiles):
        images = replace(images, damaged=damaged)
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
    logits_NK = ranks.together(logits_NVK[:, 0], count)
    if skipped is not None:
        whole_N = torch.ones(len(images), dtype=torch.bool)
        whole_N[list(damaged)] = False
        whole_N = ranks.together(whole_N, count)
        if not whole_N.any():
            raise DataError(
                f"{'all ' * (count > 1)}{counted(count, 'validation image')} {are(count)} damaged.",
                page="damaged-photographs",
            )
        skipped.update(names[index] for index in (~whole_N).nonzero().flatten().tolist())
        logits_NK, labels_N = logits_NK[whole_N], labels_N[whole_N]
    return result_from_logits(logits_NK, labels_N)


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
