"""The net that a state dict looks like, for the hint beside a refusal; nothing is imported by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import count, takewhile

from torch import Tensor

from rescli import paper
from rescli.importers.asked import small_images
from rescli.importers.base import Importer
from rescli.models.layout import stage_counts
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec, ModelSpec

__all__ = ["Likeness", "block_counts", "family_and_depth", "likeness", "shortcut_option"]


_OWN = "imagefolder"
"""The data set whose classes are one's own."""


@dataclass(frozen=True)
class Likeness:
    """What weights look like that do not fit.

    Args:
        text: a sentence's worth of words, such as ``these look like resnet-32``.
        remedies: the settings that would take them; all of them are needed.
    """

    text: str
    remedies: tuple[Remedy, ...] = ()


def likeness(
    given: Mapping[str, Tensor], importer: Importer, model: ModelSpec, dataset: DatasetSpec
) -> Likeness | None:
    """What the tensors look like, where that is not the model and data set asked for.

    Args:
        given: the state dict under the file's names.
        importer: its layout.
        model: the net asked for.
        dataset: the data set asked for.

    Returns:
        None where nothing is known to try.
    """
    looks: list[str] = []
    remedies: list[Remedy] = []
    found = family_and_depth(given, importer)
    if found and found != (getattr(model, "family", None), getattr(model, "depth", None)):
        family, depth = found
        name = f"{model.kind if model.kind == 'plain' else 'resnet'}-{depth}"
        if family != getattr(model, "family", family):
            smaller = small_images(dataset) if family == "cifar" else []
            size = f" with images of {dataset.image_size} pixels" if smaller else ""
            return Likeness(
                f"these look like the {name} of the {family} family, which {dataset.kind}{size} does not "
                "take",
                (Remedy("model", name), *smaller) if smaller else (),
            )
        looks.append(name)
        remedies.append(Remedy("model", name))
        if (
            importer.their_name("layer1.0.conv3.weight") in given
            and getattr(model, "block", None) is not None
        ):
            # The names do not show it, so that the net cannot be asked for without.
            remedies.append(Remedy("stride_on", "3x3", "as torchvision, timm and pycls have it"))
    option = shortcut_option(given, importer)
    if option and hasattr(model, "shortcut") and option != model.shortcut:
        looks.append(f"shortcut {option}")
        remedies.append(Remedy("shortcut", option))
    stem = given.get(importer.their_name("conv1.weight"))
    if stem is not None and len(stem) != getattr(model, "width", len(stem)):
        looks.append(f"a width of {len(stem)}")
        remedies.append(Remedy("model.width", len(stem)))
    head = given.get(importer.their_name("fc.bias"))
    if head is not None and head.ndim == 1 and len(head) != dataset.num_classes:
        looks.append(f"{counted(len(head), 'class')} where {dataset.kind} has {dataset.num_classes}")
        remedies += _own_classes(dataset)
    return Likeness(f"these look like {', '.join(looks)}", tuple(remedies)) if looks else None


def _own_classes(dataset: DatasetSpec) -> list[Remedy]:
    """What names other classes than the data set's."""
    if dataset.kind == _OWN:
        return [Remedy("classes", "NAME,NAME,...")]
    if dataset.any_size:
        return [Remedy("dataset", _OWN), Remedy("data_root", "DIR")]
    return [Remedy("dataset", "NAME")]


def family_and_depth(names: Collection[str], importer: Importer) -> tuple[str, int] | None:
    """From the number of blocks in each stage; None where no net of the paper has so many."""
    counts = block_counts(names, importer)
    bottlenecks = importer.their_name("layer1.0.conv3.weight") in names
    if len(counts) == 3 and len(set(counts)) == 1:
        return "cifar", 3 * (3 if bottlenecks else 2) * counts[0] + 2
    for depth in paper.IMAGENET_DEPTHS:
        fits = bottlenecks == (paper.imagenet_block(depth) == "bottleneck")
        if stage_counts("imagenet", depth) == counts and fits:
            return "imagenet", depth
    return None


def block_counts(names: Collection[str], importer: Importer) -> tuple[int, ...]:
    """The number of blocks in each stage, ``(3, 4, 6, 3)``."""
    return tuple(map(len, _stages(names, importer)))


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
