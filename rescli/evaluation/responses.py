"""Layer responses, as Figure 7: the standard deviation of each 3x3 layer's output."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import nn

from rescli.errors import UsageError
from rescli.evaluation.images.views import ViewBatch
from rescli.hardware.numerics import Numerics

__all__ = ["LayerResponse", "layer_responses", "responding_layers"]


@dataclass(frozen=True)
class LayerResponse:
    """How strongly one layer responds.

    Args:
        layer: the name of its convolution.
        std: standard deviation of all its outputs after BN, before the nonlinearity and the addition, over
            all images, channels and places.
    """

    layer: str
    std: float


def responding_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Name of each 3x3 convolution to the batch normalisation after it, in the order of the forward pass.

    Raises:
        UsageError: the net has no 3x3 convolution ``conv*`` with a ``bn*`` of the same number beside it.
    """
    modules = dict(model.named_modules())
    found: dict[str, nn.Module] = {}
    for name, module in modules.items():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            parent, _, own = name.rpartition(".")
            norm = modules.get(f"{parent}.{own.replace('conv', 'bn')}".removeprefix("."))
            if isinstance(norm, nn.BatchNorm2d):
                found[name] = norm
    if not found:
        raise UsageError(
            f"{type(model).__name__} has no 3x3 convolution conv1, conv2, .. with bn1, bn2, .. beside it, "
            "so there are no layer responses as in Figure 7."
        )
    return found


@torch.inference_mode()
def layer_responses(
    model: nn.Module, batches: Iterable[ViewBatch], *, numerics: Numerics
) -> list[LayerResponse]:
    """Standard deviation of each 3x3 layer's responses over all batches; sums are float64.

    The model's mode is left as it was; it is evaluated with its running statistics, as in a test.

    Args:
        model: on the device of ``numerics``.
        batches: the images, in any order.
        numerics: device and precision.

    Raises:
        UsageError: the net has no 3x3 layers to look at.
    """
    layers = responding_layers(model)
    # Per layer: number of outputs, their sum, the sum of their squares.
    sums = {name: torch.zeros(3, dtype=torch.float64) for name in layers}

    def adder(name: str) -> Callable[[nn.Module, object, torch.Tensor], None]:
        def add(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
            # Read here and now: the ReLU after it works in place. A channel's mean of squares fits float32;
            # the sum over a set does not.
            by_image = output.float().flatten(1)
            sums[name][0] += by_image.numel()
            sums[name][1] += by_image.sum(1).double().sum().cpu()
            sums[name][2] += by_image.square().sum(1).double().sum().cpu()

        return add

    was_training = model.training
    model.eval()
    with ExitStack() as stack:
        stack.callback(model.train, was_training)
        for name, norm in layers.items():
            stack.callback(norm.register_forward_hook(adder(name)).remove)
        for batch in batches:
            with numerics.autocast():
                model(batch.inputs)
    responses = []
    for name, (count, total, squares) in sums.items():
        mean = total / count
        responses.append(LayerResponse(name, float((squares / count - mean**2).clamp(min=0).sqrt())))
    return responses
