"""The net that weights are said to be of, by its name and by keys of its spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rescli.errors import SpecError, UsageError
from rescli.models.specs import model_spec
from rescli.remedy import Remedy
from rescli.spec.base import DatasetSpec, ModelSpec

__all__ = ["SMALL", "asked_model", "keys_of_import", "small_images"]

SMALL = 32
"""Side of the images, in pixels, that the nets of section 4.2 are made for."""

_DATASET, _MODEL = "data.dataset.", "model."


def keys_of_import(changes: Mapping[str, object]) -> tuple[dict[str, object], dict[str, Any]]:
    """The keys of the data set, with the whole path of each, and the fields of the model.

    Raises:
        SpecError: a key of something else, which an import does not have.

    Example:
        >>> keys_of_import({"data.dataset.image_size": 32, "model.block.kind": "basic"})
        ({'data.dataset.image_size': 32}, {'block': {'kind': 'basic'}})
    """
    of_dataset: dict[str, object] = {}
    of_model: dict[str, Any] = {}
    for key, value in changes.items():
        if key.startswith(_DATASET):
            of_dataset[key] = value
            continue
        *sections, last = key.removeprefix(_MODEL).split(".")
        table = of_model
        for section in sections:
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                break
        if not key.startswith(_MODEL) or not isinstance(table, dict):
            raise SpecError(
                f"an import has no key {key!r}; it has those of the data set, data.dataset.KEY, and those of "
                "the model, model.KEY.",
                remedy=Remedy("data.dataset.image_size", SMALL, "for example"),
            )
        table[last] = value
    return of_dataset, of_model


def asked_model(name: str, dataset: DatasetSpec, given: Mapping[str, Any]) -> ModelSpec:
    """The spec of the net, for the images of the data set.

    Args:
        name: such as ``resnet-20``.
        dataset: what it was trained on.
        given: fields of its spec.

    Raises:
        UnknownNameError: no such model.
        SpecError: a depth or field that it does not have, or does not have at that size of images.
        UsageError: a net of bottlenecks, and nobody said where their stride is.
    """
    try:
        spec = model_spec(name, image_size=dataset.image_size, **given)
    except SpecError as error:
        smaller = small_images(dataset)
        if not smaller or not _is_model(name, SMALL, given):
            raise
        raise SpecError(
            f"{str(error).removesuffix('.')}, and {dataset.kind} has images of {dataset.image_size} pixels; "
            f"of {SMALL} pixels there is a {name}.",
            remedy=smaller,
        ) from error
    block = getattr(spec, "block", None)
    if block is not None and block.kind == "bottleneck" and "stride_on" not in given:
        raise UsageError(
            f"{spec.name} has bottlenecks, and the weights do not show where their stride is.",
            remedy=Remedy(
                "stride_on", "3x3", "for torchvision's, timm's and pycls's model zoo, 1x1 for the paper's"
            ),
        )
    return spec


def small_images(dataset: DatasetSpec) -> list[Remedy]:
    """What makes the images of a data set small; nothing where they are, or have one size alone."""
    if "image_size" not in type(dataset).model_fields or dataset.image_size <= SMALL:
        return []
    return [Remedy("data.dataset.image_size", SMALL, "where it was trained on images of that size")]


def _is_model(name: str, image_size: int, given: Mapping[str, Any]) -> bool:
    try:
        model_spec(name, image_size=image_size, **given)
    except SpecError:
        return False
    return True
