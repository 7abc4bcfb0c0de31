"""Layer responses of a checkpoint on images of the set that it was trained on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TypedDict

import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import CheckpointError, UsageError, first_names
from rescli.evaluation.images.views import view_batches
from rescli.evaluation.protocols import default_protocol
from rescli.evaluation.responses import layer_responses
from rescli.hardware.numerics import Numerics, choose_device
from rescli.models.failure import naming_failed_module
from rescli.remedy import Remedy
from rescli.runs.data_root.gone import require_images_of_checkpoint
from rescli.runs.directory import noted_data_root
from rescli.runs.evaluating.test_seal import log_opening

__all__ = ["LayerRow", "ResponsesRow", "measure_responses"]

RESPONSES_BATCH = 250
"""Images per forward pass, unless the caller says else."""


class LayerRow(TypedDict):
    """The standard deviation of one 3x3 layer's responses; ``layer`` is its convolution's name."""

    layer: str
    std: float


class ResponsesRow(TypedDict):
    """Layer responses of one checkpoint, as Figure 7 draws them."""

    checkpoint: str
    sha256: str
    model: str
    dataset: str
    split: str
    num_images: int
    layers: list[LayerRow]
    mean_std: float


def measure_responses(
    path: Path,
    split: str | None,
    data_root: Path | None,
    device: str,
    batch_size: int = RESPONSES_BATCH,
) -> ResponsesRow:
    """The layer responses of a checkpoint, in fp32, on images of the set that it was trained on.

    Args:
        path: the checkpoint.
        split: whose images; None for the first there is of val, train, others.
        data_root: where the images lie; None for where the run had them, or the usual places.
        device: its name, or ``auto``.
        batch_size: images per forward pass; changes no result.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
        DataError: the images are.
        UsageError: no images in that split, a net without 3x3 layers to look at, or a plugin's that failed.
    """
    checkpoint = Checkpoint.read(path)
    if data_root is None:
        require_images_of_checkpoint(path, checkpoint)
        data_root = noted_data_root(path)
    dataset = checkpoint.dataset
    there = dataset.splits(data_root)
    chosen = split or next(name for name in ("val", "train", *there) if name in there)
    images = dataset.build(data_root, (chosen,))[chosen]
    if len(images) == 0:
        raise UsageError(f"{dataset.kind} has no images in {chosen}.", remedy=Remedy("split", "train"))
    if chosen == "test":
        log_opening(path, checkpoint, "responses")
    numerics = Numerics(choose_device(device), "fp32")
    numerics.configure_backend()
    model = checkpoint.build_model().to(numerics.device).to(memory_format=torch.channels_last)
    views = default_protocol(dataset).views(dataset)
    batches = view_batches(
        images, views, checkpoint.normalization, batch_size=batch_size, device=numerics.device
    )
    with naming_failed_module(checkpoint.model.name):
        layers = layer_responses(model, batches, numerics=numerics)
    if broken := [layer.layer for layer in layers if not math.isfinite(layer.std)]:
        raise CheckpointError(
            f"{path}: the responses of {first_names(broken)} are no finite numbers: the weights are damaged, "
            "or of a training that diverged."
        )
    return {
        "checkpoint": str(path),
        "sha256": checkpoint.sha256,
        "model": checkpoint.model.name,
        "dataset": dataset.kind,
        "split": chosen,
        "num_images": len(images),
        "layers": [{"layer": layer.layer, "std": layer.std} for layer in layers],
        "mean_std": sum(layer.std for layer in layers) / len(layers),
    }
