"""Weights of nets that are not here: what gives them away, for what is said where they are refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from rescli.importers.base import Importer
from rescli.importers.guess import block_counts, family_and_depth
from rescli.plurals import counted

__all__ = ["PLUGINS", "kind_by_names", "stranger"]

PLUGINS = "a net and an importer of your own are plugins (plugins.md of the handbook)"

_STEMS = {3: 3, 4: 7}
"""Sides of the stem's kernel, by the number of stages: section 4.2's nets, and Table 1's."""

_BY_NAMES = (
    (
        r"(?:^|\.)(?:visual|text_projection|attnpool)(?:\.|$)",
        "CLIP's, whose image net ends in attention pooling",
    ),
    (r"(?:^|\.)(?:class_token|cls_token|pos_embed|pos_embedding)$", "a vision transformer's"),
    (
        r"(?:^|\.)(?:query_embed|class_embed|bbox_embed|rpn|roi_heads|fpn|neck)\.",
        "a detector's, with a net inside",
    ),
    (r"(?:^|\.)(?:decode_head|aux_classifier)\.|(?:^|\.)classifier\.0\.convs\.", "a segmentation net's"),
    (r"(?:^|\.)denseblock\d", "a DenseNet's"),
    (r"(?:^|\.)embedder\.embedder\.", "a ResNet's in the names of transformers, which no layout here has"),
    (
        r"(?:^|\.)s\d\.b\d+\.f\.se\.|(?:^|\.)se(?:_module)?\.(?:fc|conv)\w*\.",
        "of blocks with squeeze-and-excitation",
    ),
    (r"(?:^|\.)conv1\.[3-9]\.", "of a stem of several convolutions, as ResNet-C and ResNet-D have it"),
    (
        r"\.downsample\.(?:2\.|\d\.filt$)",
        "of shortcuts that pool before they project, as ResNet-D and blurred nets do",
    ),
    (
        r"^features\.\d+\.\d+\.block\.|^features\.\d+\.conv\.",
        "of another family (MobileNet, EfficientNet, ConvNeXt)",
    ),
    (r"^features\.\d+\.weight$", "a net's without batch normalisation (AlexNet, VGG)"),
)
"""Names that only such nets have, the most telling first."""


def kind_by_names(names: Collection[str]) -> str | None:
    """Whose weights they are by their names, ``a vision transformer's``; None where the names do not say."""
    for pattern, words in _BY_NAMES:
        if any(re.search(pattern, name) for name in names):
            return words
    return None


def stranger(given: Mapping[str, Tensor], importer: Importer) -> str | None:
    """Whose weights they are, where no setting makes a net here that they are weights of.

    Args:
        given: the state dict under the file's names.
        importer: the layout that is theirs, or nearest to it.

    Returns:
        Words such as ``of bottlenecks of 128 channels that give 256, as wide ResNets have them``; None where
        a net here might fit.
    """
    return kind_by_names(given) or _by_normalisation(given, importer) or _by_shapes(given, importer)


def _by_normalisation(given: Mapping[str, Tensor], importer: Importer) -> str | None:
    if any(name.endswith("running_mean") for name in given):
        return None
    if importer.their_name("conv1.bias") in given and importer.their_name("bn1.weight") not in given:
        return "of convolutions into which batch normalisation was folded; save the net before that is done"
    if importer.their_name("bn1.weight") in given:
        return "of a normalisation without running statistics, such as group normalisation"
    return None


def _by_shapes(given: Mapping[str, Tensor], importer: Importer) -> str | None:
    def shape(name: str) -> tuple[int, ...] | None:
        tensor = given.get(importer.their_name(f"{name}.weight"))
        return tuple(tensor.shape) if tensor is not None and tensor.ndim == 4 else None

    stem, first, second, third = map(shape, ("conv1", "layer1.0.conv1", "layer1.0.conv2", "layer1.0.conv3"))
    if stem is None or first is None or second is None:
        return None
    counts = block_counts(given, importer)
    if stem[1] != 3:
        return f"for images of {counted(stem[1], 'channel')}, where nets here take 3"
    if second[1] and first[0] > second[1]:
        return f"of convolutions in {first[0] // second[1]} groups, as ResNeXts have them"
    if third is not None and third[0] != 4 * first[0]:
        return f"of bottlenecks of {first[0]} channels that give {third[0]}, as wide ResNets have them"
    side = _STEMS.get(len(counts))
    if side is not None and stem[2:] != (side, side):
        kernel = f"{stem[2]}x{stem[3]}"
        return f"of {len(counts)} stages behind a stem of {kernel}, where nets here have {side}x{side}"
    if family_and_depth(given, importer) is None:
        return f"of stages of {' '.join(map(str, counts))} blocks, as no net here has"
    return None
