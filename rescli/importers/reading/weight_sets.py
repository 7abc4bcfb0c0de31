"""The nets in a file: where each one's tensors begin, which layer is its head, and what lies beside."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rescli.importers.base import Importer
from rescli.importers.reading.state_dicts import StateDict, is_averaged

__all__ = ["WeightSet", "common_prefix", "weight_sets"]

_BESIDE = re.compile(
    r"(?:^|[._])(?:criterion|loss|losses|metrics?|acc|accuracy|queue|projectors?|projection|predictor|prototypes?"
    r"|n_averaged|averaged|ema|swa|teacher|momentum)(?=$|[._\d])",
    re.IGNORECASE,
)
"""Modules that training needs and the net's logits do not."""

_QUEUES = {"queue", "queue_ptr"}
"""Buffers of contrastive training, which stand beside its nets."""

_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4", "9": "fc"}
"""The children of a ResNet of torchvision in nn.Sequential(*net.children()); 2, 3 and 8 have no tensors."""


@dataclass(frozen=True, eq=False)
class WeightSet:
    """One net's weights in a file.

    Args:
        name: by which the user can take it.
        path: the keys and modules above its tensors, joined by dots.
        tensors: without the prefix, the head under its layout's name; what nobody can place has the name that
            it has in the file.
        prefix: what was before each name.
        head: the module that was taken as the head, where its name is another than the layout's.
        zero_bias: whether the head has no bias, in whose place there are zeros.
        left_out: names of tensors beside the net's, and of entries that are no tensors.
        linear: the linear layers, where there are several and none is the head by its name.
        headless: whether no layer could be the head.
        odd: names of tensors among its own that nobody can take.
        layouts: the layouts that it could be in, where its names do not show which.
        averaged: whether they are an average of other weights.
    """

    name: str
    path: str
    tensors: dict[str, Tensor]
    prefix: str
    head: str | None = None
    zero_bias: bool = False
    left_out: tuple[str, ...] = ()
    linear: tuple[str, ...] = ()
    headless: bool = False
    odd: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ()
    averaged: bool = False


def weight_sets(dicts: Sequence[StateDict], importers: Mapping[str, Importer]) -> list[WeightSet]:
    """Every net in the dicts that is in the layout of one of the importers, whatever is before its names.

    A net without a head is one too: its head may lie beside it under another name.
    """
    trunks = [(one, prefix) for one in dicts for prefix in _prefixes(one, importers)]
    found = []
    for one, prefix in trunks:
        others = [p for other, p in trunks if other is one and p != prefix]
        apart = [other for other in dicts if all(other is not with_trunk for with_trunk, _ in trunks)]
        found.append(_weight_set(one, prefix, others, apart, importers))
    return [_named(one, [d for d, _ in trunks], number) for number, one in enumerate(found)]


def common_prefix(names: Sequence[str]) -> str:
    """The modules that stand before every name, with their dots.

    Example:
        >>> common_prefix(["module.net.a", "module.net.b.c"])
        'module.net.'
    """
    parts = [name.split(".")[:-1] for name in names]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "".join(f"{part}." for part in shared)


def _prefixes(one: StateDict, importers: Mapping[str, Importer]) -> list[str]:
    """Where nets begin, outermost first; none inside another."""
    below: dict[str, set[str]] = defaultdict(set)
    for name in one.tensors:
        parts = name.split(".")
        for depth in range(len(parts)):
            below["".join(f"{part}." for part in parts[:depth])].add(".".join(parts[depth:]))
    found: list[str] = []
    for prefix in sorted(below, key=len):
        if any(prefix.startswith(outer) for outer in found):
            continue
        if _recognising(_children_named(below[prefix]).values(), importers):
            found.append(prefix)
    return found


def _recognising(names: Iterable[str], importers: Mapping[str, Importer]) -> list[str]:
    """The layouts of these names as they are, else of those that lack nothing but the head's right name."""
    there = set(names)
    whole = [kind for kind, importer in importers.items() if importer.recognises(there)]
    return whole or [
        kind
        for kind, importer in importers.items()
        if importer.recognises(there | {importer.their_name("fc.weight")})
    ]


def _children_named(names: set[str]) -> dict[str, str]:
    """Each name, and the same where ``nn.Sequential(*net.children())`` has numbers for modules."""
    if not {"0.weight", "1.running_mean", "4.0.conv1.weight", "5.0.conv1.weight"} <= names:
        return {name: name for name in names}
    return {
        name: f"{_CHILDREN.get(first, first)}{dot}{rest}"
        for name in names
        for first, dot, rest in [name.partition(".")]
    }


def _weight_set(
    one: StateDict,
    prefix: str,
    other_nets: Sequence[str],
    apart: Sequence[StateDict],
    importers: Mapping[str, Importer],
) -> WeightSet:
    """The net that begins at ``prefix``."""
    under = {name.removeprefix(prefix): name for name in one.tensors if name.startswith(prefix)}
    ours = _children_named(set(under))
    inside = {ours[name]: one.tensors[whole] for name, whole in under.items()}
    beside = {
        name: tensor
        for name, tensor in one.tensors.items()
        if not name.startswith(prefix) and not any(name.startswith(other) for other in other_nets)
    }
    left_out = [*one.others, *(name for name, tensor in beside.items() if _is_beside(name, tensor))]
    left_out += [f"{prefix}{name}" for name, tensor in inside.items() if _is_beside(name, tensor)]
    inside = {name: tensor for name, tensor in inside.items() if not _is_beside(name, tensor)}
    beside = _apart(beside, inside)
    found = WeightSet("", ".".join([*one.keys, *prefix.split(".")[:-1]]), inside, prefix)
    modules = prefix.split(".")[:-1]
    counters = (".".join([*modules[:depth], "n_averaged"]) for depth in range(len(modules) + 1))
    averaged = is_averaged(found.path) or any(counter in one.tensors for counter in counters)
    found = replace(found, left_out=tuple(left_out), odd=one.odd, averaged=averaged)
    kinds = _recognising(inside, importers)
    if importers[kinds[0]].recognises(inside.keys()):
        return _with_bias(replace(found, tensors={**inside, **beside}), importers[kinds[0]])
    elsewhere = _apart(
        {".".join([*other.keys, name]): tensor for other in apart for name, tensor in other.tensors.items()},
        {**inside, **beside},
    )
    # A layer called predictor may be the head after all, where no other is.
    doubtful = {
        name.removeprefix(prefix): tensor
        for name, tensor in one.tensors.items()
        if name in left_out and not is_averaged(name)
    }
    for place in (inside, beside, elsewhere, doubtful):
        linear = [name.rpartition("weight")[0].rstrip(".") for name in place if _is_linear(name, place[name])]
        if len(linear) > 1:
            return replace(found, tensors={**inside, **beside}, linear=tuple(linear))
        if linear:
            kinds = _layouts_with_head(kinds, linear[0], inside, importers)
            if len(kinds) > 1:
                return replace(found, tensors={**inside, **beside}, layouts=tuple(kinds), head=linear[0])
            # Where the head was looked for outside, all that lies there may stand between it and the trunk.
            head = {name: tensor for name, tensor in doubtful.items() if name.startswith(f"{linear[0]}.")}
            whole = {**inside, **beside, **head, **(elsewhere if place is elsewhere else {})}
            named = _head_named(whole, linear[0], importers[kinds[0]])
            rest = tuple(name for name in left_out if name.removeprefix(prefix) not in head)
            return _with_bias(
                replace(found, head=linear[0], tensors=named, left_out=rest), importers[kinds[0]]
            )
    return replace(found, tensors={**inside, **beside}, headless=True)


def _apart(tensors: Mapping[str, Tensor], taken: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those that may matter to the logits, under names that none of the net's tensors has."""
    return {
        f"/{name}" if name in taken else name: tensor
        for name, tensor in tensors.items()
        if not _is_beside(name, tensor)
    }


def _layouts_with_head(
    kinds: Sequence[str], head: str, names: Mapping[str, Tensor], importers: Mapping[str, Importer]
) -> list[str]:
    """Those of the layouts whose own names are nearest to these."""
    for part, where in (("fc.weight", [head]), ("layer2.0.downsample.0.weight", list(names))):
        module = {kind: importers[kind].their_name(part).removesuffix(".weight") for kind in kinds}
        near = [kind for kind in kinds if any(f".{module[kind]}." in f".{name}." for name in where)]
        kinds = near or kinds
    return list(kinds)


def _head_named(tensors: Mapping[str, Tensor], head: str, importer: Importer) -> dict[str, Tensor]:
    """The tensors, with the head's under the layout's names."""
    theirs = {f"{head}.{part}": importer.their_name(f"fc.{part}") for part in ("weight", "bias")}
    return {theirs.get(name, name): tensor for name, tensor in tensors.items()}


def _with_bias(found: WeightSet, importer: Importer) -> WeightSet:
    """A linear layer without bias has the logits of one whose bias is zero."""
    weight, bias = found.tensors.get(importer.their_name("fc.weight")), importer.their_name("fc.bias")
    if bias in found.tensors or weight is None or weight.ndim != 2:
        return found
    zeros = torch.zeros(len(weight), dtype=weight.dtype)
    return replace(found, tensors={**found.tensors, bias: zeros}, zero_bias=True)


def _is_linear(name: str, tensor: Tensor) -> bool:
    return tensor.ndim == 2 and (name == "weight" or name.endswith(".weight"))


def _is_beside(name: str, tensor: Tensor) -> bool:
    """Whether a tensor does not matter to a net's logits, by its name, or as a whole number that counts."""
    if name.endswith("num_batches_tracked"):
        return False
    counts = tensor.ndim == 0 and not tensor.is_floating_point()
    module, _, last = name.rpartition(".")
    return counts or last in _QUEUES or _BESIDE.search(module or name) is not None


def _named(found: WeightSet, dicts: Sequence[StateDict], number: int) -> WeightSet:
    """With the shortest name that tells it from the others."""
    one = dicts[number]
    alone = sum(other is one for other in dicts) == 1
    name = ".".join(one.keys) if alone else found.path
    return replace(found, name=name or found.path or "top")
