"""From a run directory, a checkpoint or an exported folder to a net that can be used."""

from __future__ import annotations

import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.checkpoints.locate import Source, source_path
from rescli.hardware.numerics import choose_device
from rescli.importers.exported import read_checkpoint
from rescli.workflows.notes import with_notes
from rescli.workflows.results.net import Net

__all__ = ["checkpoint_of", "load"]


@with_notes
def load(source: Source, *, device: str = "cpu") -> Net:
    """A trained net, ready to use.

    Args:
        source: a run or its directory (its last weights), a checkpoint file, or a folder that
            ``rescli export`` made for Hugging Face.
        device: where its weights are to lie: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Returns:
        The network in evaluation mode with its preprocessing, classes, spec and results.

    Raises:
        CheckpointError: missing, damaged, or not from rescli.
        RunDirError: a folder that holds no weights.
        UsageError: there is no such device here.

    Example:
        >>> import rescli
        >>> small = {"iterations": 6, "data.batch_size": 16, "data.dataset.num_train": 200}
        >>> run = rescli.train(rescli.spec("resnet-8", small, dataset="shapes"), out="runs/tiny")
        >>> net = rescli.load("runs/tiny")
        >>> net.name, net.image_size, len(net.class_names), net.spec.iterations
        ('resnet-8', 32, 10, 6)
        >>> from PIL import Image
        >>> net.preprocess(Image.new("RGB", (80, 60), "red")).shape
        torch.Size([3, 32, 32])
    """
    there = choose_device(device)
    path = source_path(source)
    checkpoint = read_checkpoint(path)
    model = checkpoint.build_model().to(there)
    return Net(model.to(memory_format=torch.channels_last), checkpoint, path)


def checkpoint_of(source: Source) -> Checkpoint:
    """What a net is made of: read from its file, or as a loaded net has it.

    Raises:
        CheckpointError: missing, damaged, or not from rescli.
        RunDirError: a folder that holds no weights.
        UsageError: a loaded net whose weights were changed.
    """
    path = source_path(source)
    return source.checkpoint if isinstance(source, Net) else read_checkpoint(path)
