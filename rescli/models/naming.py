"""Model names such as ``resnet-56``, and which depths there are. No torch, no pydantic."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rescli import paper, registry
from rescli.errors import UnknownNameError, UsageError
from rescli.remedy import Remedy

__all__ = ["default_image_size", "neighbours", "parse_model_name", "table1_depths"]

_OWN_KINDS = ("plain", "resnet")


def parse_model_name(name: str) -> tuple[str, int | None]:
    """``"resnet-56"`` -> ``("resnet", 56)``; a bare registered kind -> ``(kind, None)``.

    Whether the depth exists is the model's to say (``ModelSpec.check``).

    Raises:
        UnknownNameError: no registered model has that name; says the nearest one.
        UsageError: the part after a model's name is not a positive whole number.
    """
    kinds = registry.names("models")
    if name in kinds:
        return name, None
    kind, dash, depth = name.rpartition("-")
    if dash and kind in kinds:
        if re.fullmatch(r"[1-9][0-9]*", depth):
            return kind, int(depth)
        raise UsageError(
            f"{depth!r} in {name!r} is not a depth: the number of weight layers is a positive whole number.",
            hint=f"for example {kind}-{_example_depth(kind)}",
        )
    digits = re.search(r"[1-9][0-9]*$", name)
    known = [f"{kind}-{digits[0] if digits else 'N'}" if kind in _OWN_KINDS else kind for kind in kinds]
    raise UnknownNameError("model", name, known, remedy=Remedy("list_models", note="lists them"))


def default_image_size(depth: int | None, *, kind: str = "resnet") -> int:
    """Side in pixels of the images a depth is meant for: 224 for Table 1's depths, else 32.

    50 and 152 are also of the form 6n+2; ``resnet-50`` means Table 1's net unless a dataset says
    else, and ``plain-50``, which Table 1 does not have, the CIFAR one.
    """
    return 224 if depth in table1_depths(kind) else 32


def table1_depths(kind: str) -> tuple[int, ...]:
    """The depths that ``plain`` or ``resnet`` has on ImageNet."""
    return paper.IMAGENET_PLAIN_DEPTHS if kind == "plain" else paper.IMAGENET_DEPTHS


def neighbours(depth: int, *, among: Sequence[int] | None = None, layers_per_n: int = 6) -> tuple[int, ...]:
    """The nearest depths below and above one that does not exist; just one at either end.

    Args:
        depth: number of weight layers asked for.
        among: the depths there are, ascending; None for every ``layers_per_n * n + 2`` with n >= 1.
        layers_per_n: 6 for two-layer blocks (section 4.2), 9 for bottlenecks.
    """
    if among is None:
        n = (depth - 2) // layers_per_n
        among = [layers_per_n * m + 2 for m in (n, n + 1) if m >= 1] or [layers_per_n + 2]
    below = [d for d in among if d <= depth][-1:]
    above = [d for d in among if d > depth][:1]
    return (*below, *above)


def _example_depth(kind: str) -> int:
    return 56 if kind in _OWN_KINDS else 50
