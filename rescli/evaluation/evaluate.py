"""The validation figures of a run while it trains: each image once, by the single view of its set."""

from __future__ import annotations

from torch import nn

from rescli.data.image_files import ImageFiles
from rescli.data.image_set import ImageSet
from rescli.data.normalization import Normalization
from rescli.evaluation.metrics import result_from_logits
from rescli.evaluation.predict import predict_views
from rescli.evaluation.protocols import Views
from rescli.evaluation.views import view_batches
from rescli.training.events import EvalResult
from rescli.training.precision import Numerics

__all__ = ["WHOLE", "evaluate"]

WHOLE = Views()
"""The image as it is."""


def evaluate(
    model: nn.Module,
    images: ImageSet | ImageFiles,
    normalization: Normalization,
    *,
    batch_size: int,
    numerics: Numerics,
    views: Views = WHOLE,
) -> EvalResult:
    """Figures of one pass, one view an image; the batch size changes no count."""
    batches = view_batches(images, views, normalization, batch_size=batch_size, device=numerics.device)
    logits_NVK = predict_views(
        model,
        batches,
        num_images=len(images),
        num_views=views.count,
        num_classes=images.num_classes,
        numerics=numerics,
    )
    return result_from_logits(logits_NVK[:, 0], images.labels_N)
