"""A file of published weights as a plain dict of tensors. Nothing in the file is executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from rescli.errors import CheckpointError, UnknownNameError, UsageError
from rescli.foreign_text import readable
from rescli.importers.base import Importer
from rescli.importers.class_names import named_in_file
from rescli.importers.reading.file_content import SAVE_TENSORS_ONLY, FileContent, asks_for, read_content
from rescli.importers.reading.state_dicts import StateDict, is_averaged, state_dicts
from rescli.importers.reading.weight_sets import WeightSet, common_prefix, weight_sets
from rescli.importers.strangers import PLUGINS, kind_by_names
from rescli.plurals import an, counted
from rescli.remedy import Remedy

__all__ = ["Weights", "listed", "read_weights"]


_QUANTIZED = "quantized weights cannot be imported; take the original ones, from before that was done"


@dataclass(frozen=True, eq=False)
class Weights:
    """Published weights.

    Args:
        tensors: the state dict under its layout's names, without wrappers and prefixes, on the CPU.
        file: name of the file.
        sha256: hex digest of its bytes.
        name: of the set that was taken, where the file holds several, or an average alone.
        others: names of the sets that were not.
        prefix: what was before each name.
        head: the module that was taken as the head, where its name is another than the layout's.
        zero_bias: whether the head has no bias, in whose place there are zeros.
        left_out: names of what lies beside the net's tensors and does not matter to its logits.
        class_names: of its outputs, where the file has them.
    """

    tensors: dict[str, torch.Tensor]
    file: str
    sha256: str
    name: str | None = None
    others: tuple[str, ...] = ()
    prefix: str = ""
    head: str | None = None
    zero_bias: bool = False
    left_out: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None

    @property
    def stored_in(self) -> tuple[str, ...]:
        """The types of its numbers in floating point, ``float16``."""
        types = {str(one.dtype) for one in self.tensors.values() if one.is_floating_point()}
        return tuple(sorted(name.removeprefix("torch.") for name in types))


def read_weights(
    path: Path, importers: Mapping[str, Importer] | None = None, which: str | None = None
) -> Weights:
    """Read the weights of one net, in any form of PyTorch's or as safetensors, whatever lies around them.

    Args:
        path: of the file.
        importers: layouts by which nets are found in it. Without one that fits, the tensors are those of the
            largest dict, without what stands before every name.
        which: the set of weights to take, where there are several; None for the only one that is no average
            of others.

    Raises:
        CheckpointError: missing, damaged, of another kind, without tensors, or a pickle that asks for more
            than tensors.
        UsageError: a checkpoint of rescli, or several sets of weights of which none was chosen.
        UnknownNameError: it has no set of that name.
    """
    content = read_content(path)
    dicts = state_dicts(content.value)
    if not any(tensor.ndim for one in dicts for tensor in one.tensors.values()):
        raise _without_tensors(content, path)
    sets = weight_sets(dicts, importers or {}) or _largest(dicts)
    taken = _chosen(sets, which, path)
    if taken.odd:
        raise CheckpointError(
            f"{path} holds, among its tensors, {len(taken.odd)} that nobody can take: {listed(taken.odd)}.",
            hint=_QUANTIZED if any("(quantized)" in name for name in taken.odd) else SAVE_TENSORS_ONLY,
        )
    if taken.linear:
        raise CheckpointError(
            f"{path} has {counted(len(taken.linear), 'linear layer')}, {listed(taken.linear)}, where the "
            "nets here have one, fc, as their head.",
            hint=_without_its_head(taken),
        )
    if taken.headless:
        raise CheckpointError(
            f"{path} holds a ResNet without its head: none of its {counted(len(taken.tensors), 'tensor')} is "
            "a linear layer's.",
            hint=_without_its_head(taken),
        )
    if taken.layouts:
        raise UsageError(
            f"{path} could be in the layouts {' and '.join(sorted(taken.layouts))}.",
            hint="say which",
            remedy=Remedy("layout", min(taken.layouts)),
        )
    return Weights(
        tensors=taken.tensors,
        file=readable(path.name),
        sha256=content.sha256,
        name=taken.name if len(sets) > 1 or taken.averaged else None,
        others=tuple(one.name for one in sets if one is not taken),
        prefix=taken.prefix,
        head=taken.head,
        zero_bias=taken.zero_bias,
        left_out=taken.left_out,
        class_names=named_in_file(content.value, _num_outputs(taken)),
    )


def _num_outputs(taken: WeightSet) -> int | None:
    """How many outputs the one linear layer has."""
    linear = [len(tensor) for tensor in taken.tensors.values() if tensor.ndim == 2]
    return linear[0] if len(linear) == 1 else None


def listed(items: Sequence[str], *, limit: int = 6) -> str:
    """Sorted, as every terminal can show them, and capped with the number of those left out."""
    shown = ", ".join(map(readable, sorted(items)[:limit]))
    return f"{shown} and {len(items) - limit} more" if len(items) > limit else shown


def _without_its_head(taken: WeightSet) -> str:
    """What can be done with a ResNet that has no head, or another than one layer."""
    kind = kind_by_names(taken.tensors)
    channels = max((len(one) for one in taken.tensors.values() if one.ndim == 4), default=0)
    renamed = f", without {taken.prefix!r} before the names" if taken.prefix else ""
    return (
        f"{f'the file is {kind}; ' if kind else ''}to train on from the ResNet in it, save its tensors alone"
        f"{renamed}, with a head of zeros, fc.weight (2, {channels}) and fc.bias (2), which training begins "
        f"anew; or, for the head as it is: {PLUGINS}"
    )


def _without_tensors(content: FileContent, path: Path) -> CheckpointError:
    value = content.value
    if content.objects:
        return CheckpointError(asks_for(path, content.objects[0]), hint=SAVE_TENSORS_ONLY)
    if not isinstance(value, Mapping):
        what = f"holds {an(type(value).__name__)}, not a state dict (names to tensors)"
    elif not value:
        what = "holds no tensors: an empty dict"
    else:
        entries = [f"{readable(str(key))} ({type(one).__name__})" for key, one in value.items()]
        what = f"holds no tensors: only {listed(entries)}"
    return CheckpointError(f"{path} {what}.", hint=SAVE_TENSORS_ONLY)


def _largest(dicts: Sequence[StateDict]) -> list[WeightSet]:
    """The dicts with the most tensors, whose layout nobody knows."""
    most = max(len(one.tensors) for one in dicts)
    found = []
    for one in dicts:
        if 2 * len(one.tensors) < most or not any(tensor.ndim for tensor in one.tensors.values()):
            continue
        path, prefix = ".".join(one.keys), common_prefix(list(one.tensors))
        tensors = {name.removeprefix(prefix): tensor for name, tensor in one.tensors.items()}
        found.append(
            WeightSet(
                path or "top",
                path,
                tensors,
                prefix,
                left_out=one.others,
                odd=one.odd,
                averaged=is_averaged(path),
            )
        )
    return found


def _chosen(sets: Sequence[WeightSet], which: str | None, path: Path) -> WeightSet:
    names = [one.name for one in sets]
    if which is not None:
        near = [one for one in sets if one.name == which] or [
            one
            for one in sets
            if f"{one.path}.".startswith(f"{which}.") or f".{one.path}".endswith(f".{which}")
        ]
        if len(near) != 1:
            raise UnknownNameError(f"set of weights in {path}", which, names)
        return near[0]
    plain = [one for one in sets if not one.averaged] or list(sets)
    if len(plain) > 1:
        raise UsageError(
            f"{path} holds several sets of weights: {', '.join(names)}.",
            hint="say which",
            remedy=Remedy("which", plain[0].name),
        )
    return plain[0]
