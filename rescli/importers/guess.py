"""Which net a state dict looks like, for the hint beside a refusal; never to import by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import count, takewhile

from torch import Tensor

from rescli.importers.base import Importer
from rescli.models.layout import stage_counts
from rescli.models.naming import IMAGENET_DEPTHS
from rescli.spec.base import DatasetSpec, ModelSpec

__all__ = ["family_and_depth", "fitting_flags", "shortcut_option"]


def fitting_flags(
    given: Mapping[str, Tensor], importer: Importer, model: ModelSpec, dataset: DatasetSpec
) -> str | None:
    """``these look like resnet-32: try --model resnet-32``; None where nothing is known to try."""
    flags, looks = [], []
    found = family_and_depth(given, importer)
    if found and found != (getattr(model, "family", None), getattr(model, "depth", None)):
        family, depth = found
        name = f"{model.kind if model.kind == 'plain' else 'resnet'}-{depth}"
        if family != getattr(model, "family", family):
            return f"these look like the {name} of the {family} family, which {dataset.kind} does not take"
        looks.append(name)
        flags.append(f"--model {name}")
    option = shortcut_option(given, importer)
    if option and hasattr(model, "shortcut") and option != model.shortcut:
        looks.append(f"shortcut {option}")
        flags.append(f"--shortcut {option}")
    head = given.get(importer.their_name("fc.bias"))
    if head is not None and head.ndim == 1 and len(head) != dataset.num_classes:
        looks.append(f"{len(head)} classes where {dataset.kind} has {dataset.num_classes}")
        flags.append("another --dataset")
    return f"these look like {', '.join(looks)}: try {' '.join(flags)}" if flags else None


def family_and_depth(names: Collection[str], importer: Importer) -> tuple[str, int] | None:
    """From the number of blocks in each stage; None where no net of the paper has so many."""
    counts = tuple(map(len, _stages(names, importer)))
    bottlenecks = importer.their_name("layer1.0.conv3.weight") in names
    if len(counts) == 3 and len(set(counts)) == 1:
        return "cifar", 3 * (3 if bottlenecks else 2) * counts[0] + 2
    for depth in IMAGENET_DEPTHS:
        if stage_counts("imagenet", depth) == counts and (depth >= 50) == bottlenecks:
            return "imagenet", depth
    return None


def shortcut_option(names: Collection[str], importer: Importer) -> str | None:
    """A without projections, C with one in every block, else B; None without blocks."""
    blocks = [block for stage in _stages(names, importer) for block in stage]
    projected = [importer.their_name(f"{block}.downsample.0.weight") in names for block in blocks]
    if not blocks:
        return None
    if not any(projected):
        return "A"
    return "C" if all(projected) else "B"


def _stages(names: Collection[str], importer: Importer) -> list[list[str]]:
    """The blocks of each stage under our names, ``layer1.0``, as far as they come one after another."""

    def has(block: str) -> bool:
        return importer.their_name(f"{block}.conv1.weight") in names

    stages: list[list[str]] = []
    while has(f"layer{len(stages) + 1}.0"):
        stage = f"layer{len(stages) + 1}"
        stages.append(list(takewhile(has, (f"{stage}.{index}" for index in count()))))
    return stages
