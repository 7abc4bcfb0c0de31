"""A new run that begins with the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.errors import CheckpointError, first_names, nearest
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.spec.run import RunSpec, StartSpec
from rescli.spec.warm_start import net_in_words

__all__ = ["Head", "HeadFate", "begin_with", "build_net", "head_of", "read_start"]

_ALIKE = 0.8
"""How like two names of classes must be so that one may be meant by the other: ``Dogs`` and ``dog``."""

HeadFate = Literal["kept", "reordered", "new"]


@dataclass(frozen=True)
class Head:
    """What became of the checkpoint's last layer.

    Args:
        fate: ``kept`` where the classes have the same names in the same order; ``reordered`` where the same
            names stand in another order, and so do the rows of the layer now; else ``new``, drawn by the
            seed.
        why: the same as a sentence.
        tensors: the names of the layer's tensors that begin anew.
        trunk: what the net before that layer is, and which images it has seen, in words.
    """

    fate: HeadFate
    why: str
    tensors: tuple[str, ...] = ()
    trunk: str = ""


def _trained_on(checkpoint: Checkpoint) -> str:
    """What a checkpoint's net is and which images it has seen, in words.

    Example: ``resnet-20 (family cifar, width 16, shortcut A), trained on cifar10 at 32 pixels``.
    """
    dataset = checkpoint.dataset
    upright = ", upright" if getattr(dataset, "orientation", "stored") == "upright" else ""
    net = net_in_words(checkpoint.model)
    return f"{net}, trained on {dataset.kind} at {dataset.image_size} pixels{upright}"


def begin_with(
    model: nn.Module, checkpoint: Checkpoint, class_names: Sequence[str], *, path: str = "CKPT"
) -> Head:
    """Copy every tensor that ``model`` has under the same name and in the same shape.

    The last layer belongs to its classes, by their names: it is not taken over for others, however many they
    are.

    Args:
        model: of ``class_names``.
        checkpoint: whose weights are taken.
        class_names: one an output of ``model``.
        path: of the checkpoint, for messages.

    Raises:
        CheckpointError: something else than the number of classes is different, so it is another network.
    """
    theirs, ours = tuple(checkpoint.class_names), tuple(class_names)
    tensors = dict(checkpoint.tensors)
    anew: set[str] = set()
    if len(theirs) == len(ours) and theirs != ours:
        layer = _last_layer(checkpoint)
        if _same_names(theirs, ours):
            order = torch.tensor([theirs.index(name) for name in ours])
            tensors |= {name: tensors[name].index_select(0, order) for name in layer}
        else:
            anew = layer
    own = model.state_dict()
    fitting = {
        name: tensor
        for name, tensor in tensors.items()
        if name in own and own[name].shape == tensor.shape and name not in anew
    }
    fresh = [name for name in own if name not in fitting]
    by_classes = {len(theirs), len(ours)}
    strangers = [
        name
        for name in fresh
        if name not in tensors or not _differs_in(own[name].shape, tensors[name].shape, by_classes)
    ]
    strangers += [name for name in tensors if name not in own]
    if strangers or len({name.rpartition(".")[0] for name in fresh}) > 1:
        raise CheckpointError(
            f"the weights of {net_in_words(checkpoint.model)} do not fit this network: "
            f"{first_names(strangers or fresh)} differ.",
            remedy=Remedy("net_of_start", path),
            page="weights-do-not-fit",
        )
    model.load_state_dict({**own, **fitting})
    return replace(_head(theirs, ours, tuple(fresh)), trunk=_trained_on(checkpoint))


def read_start(start: StartSpec) -> Checkpoint:
    """The checkpoint that a spec begins with.

    Raises:
        CheckpointError: it is missing, damaged, or another file.
    """
    checkpoint = Checkpoint.read(Path(start.checkpoint))
    if checkpoint.sha256 != start.sha256:
        raise CheckpointError(
            f"{start.checkpoint} is not the file that the run began with: its sha256 differs.",
            hint="put that file back, or begin a new run",
            page="resume-refused",
        )
    return checkpoint


def head_of(spec: RunSpec, start: Checkpoint, class_names: Sequence[str]) -> Head:
    """What becomes of the last layer, by a trial.

    Raises:
        CheckpointError: the weights are of another network, or have a mean image of another size.
    """
    assert spec.start_from is not None, "start was read by it"
    dataset = spec.data.dataset
    try:  # a mean image is taken over with the weights, and goes with images of its size alone
        start.normalization.check_size(dataset.image_size, dataset.image_size)
    except ValueError as error:
        raise CheckpointError(
            f"the weights to begin with come with a mean image of another size: {error}.",
            remedy=Remedy("data.dataset.image_size", start.dataset.image_size) if dataset.any_size else (),
            page="weights-do-not-fit",
        ) from error
    return begin_with(build_net(spec), start, class_names, path=spec.start_from.checkpoint)


def build_net(spec: RunSpec) -> nn.Module:
    """The network of a spec, with the weights that its seed draws."""
    dataset = spec.data.dataset
    model: nn.Module = spec.model.build(
        num_classes=dataset.num_classes, image_size=dataset.image_size, seed=spec.seed
    )
    return model


def _head(theirs: tuple[str, ...], ours: tuple[str, ...], fresh: tuple[str, ...]) -> Head:
    if theirs == ours:
        return Head(
            "kept", f"its last layer is kept: the same {counted(len(ours), 'class')} in the same order", fresh
        )
    if _same_names(theirs, ours):
        return Head(
            "reordered",
            f"its last layer is kept, in the order of these classes: the same {counted(len(ours), 'name')}, "
            "which stood in another order",
            fresh,
        )
    return Head(
        "new",
        f"its last layer begins anew: {counted(len(ours), 'class')} ({first_names(ours)}) in place of "
        f"{len(theirs)} {'other' if len(theirs) == 1 else 'others'} ({first_names(theirs)})"
        f"{_news(theirs, ours)}",
        fresh,
    )


def _news(theirs: tuple[str, ...], ours: tuple[str, ...]) -> str:
    """Which names are new, and which are gone, where some are the same or nearly so."""
    new = [name for name in ours if name not in theirs]
    gone = [name for name in theirs if name not in ours]
    like = {name: near for name in new if (near := nearest(name, gone, cutoff=_ALIKE)) is not None}
    if len(new) == len(ours) and not like:
        return ""
    listed = first_names([f"{name} ({like[name]}?)" if name in like else name for name in new])
    return (f"; new: {listed}" if new else "") + (f"; gone: {first_names(gone)}" if gone else "")


def _same_names(theirs: tuple[str, ...], ours: tuple[str, ...]) -> bool:
    return sorted(theirs) == sorted(ours) and len(set(ours)) == len(ours)


def _differs_in(ours: torch.Size, theirs: torch.Size, sizes: set[int]) -> bool:
    """Whether two shapes are equal but for sides that are these two sizes."""
    return len(ours) == len(theirs) and all(
        one == other or {one, other} == sizes for one, other in zip(ours, theirs, strict=True)
    )


def _last_layer(checkpoint: Checkpoint) -> set[str]:
    """The tensors whose shape follows from the number of classes, by a look at a net with one more."""
    wider = checkpoint.model.build(
        num_classes=len(checkpoint.class_names) + 1, image_size=checkpoint.dataset.image_size, seed=0
    )
    shapes = {name: tensor.shape for name, tensor in wider.state_dict().items()}
    return {name for name, tensor in checkpoint.tensors.items() if shapes.get(name) != tensor.shape}
