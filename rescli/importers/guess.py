"""Which net a state dict looks like, for the hint beside a refusal; never to import by."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from rescli.importers.base import Importer
from rescli.models.layout import stage_counts
from rescli.models.naming import IMAGENET_DEPTHS
from rescli.spec.base import DatasetSpec, ModelSpec

__all__ = ["family_and_depth", "fitting_flags", "shortcut_option"]

_IN_BLOCK = re.compile(r"layer(\d+)\.(\d+)\.(.+)")


def fitting_flags(
    given: Mapping[str, Tensor], importer: Importer, model: ModelSpec, dataset: DatasetSpec
) -> str | None:
    """``these look like resnet-32: try --model resnet-32``; None where nothing is known to try."""
    flags, looks = [], []
    found = family_and_depth(given)
    if found and found != (getattr(model, "family", None), getattr(model, "depth", None)):
        family, depth = found
        name = f"{model.kind if model.kind == 'plain' else 'resnet'}-{depth}"
        if family != getattr(model, "family", family):
            return f"these look like the {name} of the {family} family, which {dataset.kind} does not take"
        looks.append(name)
        flags.append(f"--model {name}")
    option = shortcut_option(given)
    if hasattr(model, "shortcut") and option != model.shortcut:
        looks.append(f"shortcut {option}")
        flags.append(f"--shortcut {option}")
    head = given.get(importer.their_name("fc.bias"))
    if head is not None and head.ndim == 1 and len(head) != dataset.num_classes:
        looks.append(f"{len(head)} classes where {dataset.kind} has {dataset.num_classes}")
        flags.append("another --dataset")
    return f"these look like {', '.join(looks)}: try {' '.join(flags)}" if flags else None


def family_and_depth(names: Collection[str]) -> tuple[str, int] | None:
    """From the number of blocks in each stage; None where no net of the paper has so many."""
    blocks: dict[int, set[int]] = {}
    convs_per_block = 2
    for name in names:
        if match := _IN_BLOCK.fullmatch(name):
            blocks.setdefault(int(match[1]), set()).add(int(match[2]))
            if match[3] == "conv3.weight":
                convs_per_block = 3
    counts = tuple(len(blocks[stage]) for stage in sorted(blocks))
    if len(counts) == 3 and len(set(counts)) == 1:
        return "cifar", 3 * convs_per_block * counts[0] + 2
    for depth in IMAGENET_DEPTHS:
        if stage_counts("imagenet", depth) == counts and (depth >= 50) == (convs_per_block == 3):
            return "imagenet", depth
    return None


def shortcut_option(names: Collection[str]) -> str:
    """A without projections, C with one in every block, else B."""
    blocks, projected = set(), set()
    for name in names:
        if match := _IN_BLOCK.fullmatch(name):
            blocks.add(match.group(1, 2))
            if match[3].startswith(("downsample.", "shortcut.")):
                projected.add(match.group(1, 2))
    if not projected:
        return "A"
    return "C" if projected == blocks else "B"
