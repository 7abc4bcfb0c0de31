"""The network as it is exported: what goes in, what comes out, in which precision."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stderr
from typing import Any

import torch
from torch import Tensor, nn

from rescli.errors import UsageError, first_line
from rescli.evaluation.protocols import default_protocol
from rescli.exporters.base import Subject
from rescli.exporters.choices import INPUT
from rescli.exporters.fold import fold_batch_norm
from rescli.exporters.preprocessing import largest_side, preprocessing
from rescli.models.failure import failed_module, naming_failed_module

__all__ = ["FREE", "ExportedNetwork", "capture", "network_of"]

FREE = {0: "batch", 1: "height", 2: "width"}
"""What the input's free dimensions are called."""

_log = logging.getLogger(__name__)

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.float32}
"""Type of convolutions and batch normalisation; the runtime's quantizer makes int8 of fp32."""


class ExportedNetwork(nn.Module):
    """images -> logits float32 (N, num_classes).

    Images are normalised float32 (N, 3, H, W), or uint8 (N, H, W, 3) where ``preprocess`` is given.
    """

    def __init__(self, net: nn.Module, *, preprocess: nn.Module | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.net = net
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        inputs = images if self.preprocess is None else self.preprocess(images)
        logits: Tensor = self.net(inputs.to(self.dtype))
        return logits.float()


def network_of(subject: Subject) -> ExportedNetwork:
    """The network to export, in evaluation mode on the CPU.

    Convolutions and batch normalisation are in the precision asked for, the classifier in fp32.
    """
    checkpoint, options = subject.checkpoint, subject.options
    net = checkpoint.build_model()
    size = checkpoint.dataset.image_size
    if options.fold_bn:
        fold_batch_norm(net, torch.zeros(1, 3, size, size))
    dtype = _DTYPES[options.precision]
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.to(dtype)
    preprocess = None
    if options.with_preprocessing:
        views = default_protocol(checkpoint.dataset).views(checkpoint.dataset)
        preprocess = preprocessing(
            checkpoint.normalization, shorter_side=_shorter_side(subject), crop=views.crop
        )
    return ExportedNetwork(net, preprocess=preprocess, dtype=dtype).eval()


def capture(subject: Subject) -> torch.export.ExportedProgram:
    """``network_of`` as a graph whose batch dimension, and for photographs height and width, are free.

    The batch dimension is fixed where the options say so.

    Raises:
        UsageError: the network cannot be captured, or a plugin's cannot run.
    """
    dataset, batch_size = subject.checkpoint.dataset, subject.options.batch_size
    size, images = dataset.image_size, batch_size or 2
    free: dict[int, Any] = {} if batch_size else {0: torch.export.Dim(FREE[0])}
    if not subject.options.with_preprocessing:
        example = torch.zeros(images, 3, size, size)
    elif dataset.any_size:
        # Neither square nor of the final size: nothing is to be taken for a constant by accident.
        example = torch.zeros(images, size + 75, size + 176, 3, dtype=torch.uint8)
        largest = largest_side(_shorter_side(subject) or size)
        free |= {side: torch.export.Dim(FREE[side], min=2, max=largest) for side in (1, 2)}
    else:
        example = torch.zeros(images, size, size, 3, dtype=torch.uint8)
    name = subject.checkpoint.model.name
    said = io.StringIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        with naming_failed_module(name):
            network = network_of(subject)
            network(example)  # a network that cannot run at all gives its own reason here
        try:
            # Where it fails, torch prints the graph so far, pages of it.
            with redirect_stderr(said):
                return torch.export.export(network, (example,), dynamic_shapes={INPUT: free})
        except Exception as error:
            _log.debug("capture failed: %s", said.getvalue(), exc_info=error)
            failure = failed_module(error, name)
            raise UsageError(
                f"{name} cannot be captured as a graph: {_reason(error)}",
                hint=failure.hint if failure is not None else None,
            ) from error


def _shorter_side(subject: Subject) -> int | None:
    """What photographs are resized to before the centre is cut out; None for images of one size."""
    dataset = subject.checkpoint.dataset
    sides = default_protocol(dataset).views(dataset).shorter_sides
    return sides[0] if sides else None


def _reason(error: Exception) -> str:
    # Half a second to import, unless torch.export has done it.
    from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

    if isinstance(error, GuardOnDataDependentSymNode):
        return "what it computes depends on the values of a tensor, as by .item() or an if."
    return f"{type(error).__name__}: {first_line(error)}"
