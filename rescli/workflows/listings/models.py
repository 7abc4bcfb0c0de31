"""``models``: which networks there are, and what one of them is made of."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal, TypedDict, get_args, get_origin

from rescli import registry
from rescli.errors import UsageError
from rescli.models.layout import Row
from rescli.models.naming import default_image_size, parse_model_name, table1_depths
from rescli.models.specs import model_spec
from rescli.paper import CIFAR_DEPTHS
from rescli.spec.base import ModelSpec
from rescli.workflows.arguments import check_count
from rescli.workflows.notes import with_notes

__all__ = ["ModelFacts", "ModelKind", "ModelList", "RowFacts", "list_models", "show_model"]

_IMAGENET_CLASSES, _CIFAR_CLASSES = 1000, 10


class RowFacts(TypedDict):
    """One row of Table 1, or of the table in section 4.2; ``output_size`` in pixels, ``macs`` per image."""

    name: str
    output_size: int
    text: str
    stride: int
    params: int
    macs: int


class ModelFacts(TypedDict):
    """The JSON object that ``rescli models show`` prints; what a plugin's network has none of is None."""

    name: str
    family: str | None
    shortcut: str | None
    stride_on: str | None
    image_size: int
    num_classes: int
    params: int
    macs: int
    rows: list[RowFacts]


class ModelKind(TypedDict):
    """One registered kind of network: its depths by family, and its options with their values."""

    kind: str
    name: str
    about: str
    families: dict[str, str]
    options: dict[str, list[str]]
    origin: str


class ModelList(TypedDict):
    """The JSON object that ``rescli models list`` prints."""

    models: list[ModelKind]


@with_notes
def show_model(
    name: str,
    *,
    shortcut: str | None = None,
    stride_on: str | None = None,
    image_size: int | None = None,
    num_classes: int | None = None,
) -> ModelFacts:
    """A network's layers as Table 1 has them, its parameters and its multiply-adds.

    Args:
        name: ``resnet-N``, ``plain-N`` or a plugin's.
        shortcut: A, B or C; None for the network's own.
        stride_on: ``1x1`` or ``3x3``, for bottlenecks; None for the paper's.
        image_size: side of the images in pixels; None for 224 with Table 1's depths, else 32.
        num_classes: None for 1000 with ImageNet's networks, else 10.

    Raises:
        UnknownNameError: no such network; names the nearest.
        UsageError: a size or a number of classes below 1.
        SpecError: a depth or option that it does not have.

    Example:
        >>> facts = show_model("resnet-50")
        >>> facts["params"], facts["macs"], facts["rows"][0]["output_size"]
        (25557032, 3857973248, 112)
    """
    check_count("image_size", image_size, least=1)
    check_count("num_classes", num_classes, least=1)
    kind, depth = parse_model_name(name)
    size = default_image_size(depth, kind=kind) if image_size is None else image_size
    given = {"shortcut": shortcut, "stride_on": stride_on}
    spec = model_spec(
        name, image_size=size, **{key: value for key, value in given.items() if value is not None}
    )
    family = getattr(spec, "family", None)
    usual = _IMAGENET_CLASSES if family == "imagenet" else _CIFAR_CLASSES
    classes = usual if num_classes is None else num_classes
    layout = spec.layout(num_classes=classes, image_size=size)
    params, macs = _counts(spec, image_size=size, num_classes=classes)
    return {
        "name": spec.name,
        "family": family,
        "shortcut": getattr(spec, "shortcut", None),
        "stride_on": getattr(spec, "stride_on", None),
        "image_size": size,
        "num_classes": classes,
        "params": params,
        "macs": macs,
        "rows": [_row(row) for row in layout.rows] if layout else [],
    }


@with_notes
def list_models() -> tuple[ModelList, list[str]]:
    """Every registered network, with its depths and options.

    Returns:
        The networks, and a sentence for each that cannot be loaded.

    Example:
        >>> found, problems = list_models()
        >>> [kind["name"] for kind in found["models"]], problems
        (['plain-N', 'resnet-N'], [])
    """
    models, problems = [], []
    for kind in registry.names("models"):
        try:
            models.append(_kind(kind))
        except UsageError as error:
            problems.append(str(error))
    return {"models": models}, problems


def _row(row: Row) -> RowFacts:
    return {
        "name": row.name,
        "output_size": row.output_size,
        "text": row.text,
        "stride": row.stride,
        "params": row.params,
        "macs": row.macs,
    }


def _counts(spec: ModelSpec, *, image_size: int, num_classes: int) -> tuple[int, int]:
    """Parameters and multiply-adds of the net as built, counted by hooks."""
    import torch

    from rescli.models.complexity import complexity

    # Our own nets are built without memory or random numbers; a plugin's build may not know how.
    ours = spec.layout(num_classes=num_classes, image_size=image_size) is not None
    with torch.device("meta") if ours else nullcontext():
        model = spec.build(num_classes=num_classes, image_size=image_size, seed=0)
    counted = complexity(model, image_size=image_size)
    return counted.params, counted.macs


def _kind(kind: str) -> ModelKind:
    model_class: type[ModelSpec] = registry.load("models", kind)
    options = {
        key: [str(value) for value in get_args(field.annotation)]
        if get_origin(field.annotation) is Literal
        else []
        for key, field in model_class.model_fields.items()
        if key not in ("kind", "depth")
    }
    if "block" in options:
        options["block"] = registry.names("blocks")
    families = {}
    if kind in ("plain", "resnet"):
        families = {
            "cifar": f"6n+2 (the paper: {' '.join(map(str, CIFAR_DEPTHS))})",
            "imagenet": " ".join(map(str, table1_depths(kind))),
        }
    return {
        "kind": kind,
        "name": f"{kind}-N" if "depth" in model_class.model_fields else kind,
        "about": (model_class.__doc__ or "").strip().partition("\n")[0],
        "families": families,
        "options": options,
        "origin": registry.origin("models", kind)[0],
    }
