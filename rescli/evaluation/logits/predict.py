"""A model over every view of every image: all logits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

from rescli.errors import UsageError
from rescli.evaluation.images.views import ViewBatch
from rescli.hardware.numerics import Numerics
from rescli.hardware.threads.waiting import watching

__all__ = ["dense_logits", "predict_views"]


@torch.inference_mode()
def predict_views(
    model: nn.Module,
    batches: Iterable[ViewBatch],
    *,
    num_images: int,
    num_views: int,
    num_classes: int,
    numerics: Numerics,
    window: int | None = None,
    forward: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Logits float32 (N, V, K) on the CPU, each view of each image once. The model's mode is left as it was.

    Args:
        model: on the device of ``numerics``.
        batches: every view of every image once, in any order.
        num_images: N.
        num_views: V.
        num_classes: K.
        numerics: device and precision.
        window: side in pixels of the average pooling of ``dense_logits``; None for a plain forward pass.
        forward: what gives the model's logits in place of a call of it; they are read before the next one.

    Raises:
        UsageError: ``window`` is given and the model cannot be made fully convolutional.
    """
    if window is not None and not (hasattr(model, "features") and hasattr(model, "head")):
        raise UsageError(
            f"{type(model).__name__} cannot be made fully convolutional: it has no features() and head().",
            hint="give it features(images) -> (N, C, h, w) and head(pooled (N, C)) -> logits, or ten-crop it",
        )
    on_cuda = numerics.device.type == "cuda"
    # View by view, so that a batch is one piece of memory and nobody waits for its copy from the device.
    logits_VNK = torch.empty((num_views, num_images, num_classes), pin_memory=on_cuda)
    forward = forward or model
    with _evaluating(model), watching(numerics.device):
        for batch in batches:
            with numerics.autocast():
                if window is None:
                    logits_BK = forward(batch.inputs).float()
                else:
                    logits_BK = dense_logits(model, batch.inputs, window=window)
            if isinstance(batch.images, range):
                rows = slice(batch.images.start, batch.images.stop)
                logits_VNK[batch.view, rows].copy_(logits_BK, non_blocking=on_cuda)
            else:
                logits_VNK[batch.view, batch.images] = logits_BK.cpu()
        if on_cuda:
            torch.cuda.synchronize(numerics.device)
    return logits_VNK.permute(1, 0, 2).contiguous()


def dense_logits(model: nn.Module, images: torch.Tensor, *, window: int) -> torch.Tensor:
    """The net as a fully convolutional one: images (N, 3, H, W) -> logits float32 (N, K).

    The last map is averaged over ``window`` x ``window`` places, the window moving by 1; the classifier is
    applied to each average; the class map is averaged over its places, before the softmax. Averages and
    classifier are linear, so the classifier is applied to the average of the averages, which is the same.
    On an image of the training size there is one place, and the result is the plain forward pass.

    Section 3.4 names the form "fully-convolutional ... as in [41, 13]"; [41] (VGG, section 3.2 there)
    averages the class map before the softmax.
    """
    features = model.features(images)  # type: ignore[operator]
    averages = F.avg_pool2d(features.float(), window, stride=1)
    return model.head(averages.mean((2, 3))).float()  # type: ignore[operator, no-any-return]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
