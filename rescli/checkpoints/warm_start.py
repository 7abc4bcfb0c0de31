"""A new run that begins with the weights of a checkpoint."""

from __future__ import annotations

from torch import nn

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import CheckpointError
from rescli.remedy import Remedy

__all__ = ["begin_with"]


def begin_with(model: nn.Module, checkpoint: Checkpoint) -> list[str]:
    """Copy every tensor that ``model`` has under the same name and in the same shape.

    Returns:
        The names of ``model`` that begin anew: the head, where the classes are others.

    Raises:
        CheckpointError: not only the last layer is different, so it is another network.
    """
    own = model.state_dict()
    fitting = {
        name: tensor
        for name, tensor in checkpoint.tensors.items()
        if name in own and own[name].shape == tensor.shape
    }
    fresh = [name for name in own if name not in fitting]
    layers = {name.rpartition(".")[0] for name in fresh}
    strangers = [name for name in checkpoint.tensors if name not in own]
    if len(layers) > 1 or strangers:
        listed = ", ".join([*fresh, *strangers][:4])
        raise CheckpointError(
            f"the weights of {checkpoint.model.name} do not fit this network: {listed} differ.",
            remedy=Remedy("same_net", checkpoint.model.name),
        )
    model.load_state_dict({**own, **fitting})
    return fresh
