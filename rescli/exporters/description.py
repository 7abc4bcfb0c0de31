"""What travels with the weights, as JSON values: so that nobody has to guess."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypedDict

from pydantic import JsonValue

from rescli import __version__
from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.normalization import StoredNormalization
from rescli.evaluation.images.pictures import describe_preparation
from rescli.evaluation.protocols import default_protocol
from rescli.exporters.architectures import Architecture, standalone_architecture
from rescli.exporters.base import Options
from rescli.exporters.choices import ExportPrecision, Quantization
from rescli.spec.base import DatasetSpec
from rescli.spec.ledger.ledger import differences, ledger

__all__ = [
    "CheckpointOrigin",
    "Description",
    "InputDescription",
    "OutputDescription",
    "TestProtocol",
    "Transform",
    "describe",
    "json_text",
]


InputDescription = TypedDict(
    "InputDescription", {"name": str, "dtype": str, "shape": "list[int | str]", "is": str}
)
"""What the network takes; a side in ``shape`` is a number or the name of a free one."""


class OutputDescription(TypedDict):
    """What the network gives."""

    name: str
    dtype: str
    shape: list[int | str]


class TestProtocol(TypedDict):
    """How the single view of an image is made."""

    name: str
    text: str


class Transform(TypedDict):
    """The preparation in numbers, for programs that make their transforms of them.

    ``shorter_side`` and ``crop`` are in pixels, None for images that keep their size; ``mean`` and ``std``
    are red, green, blue in units of pixel / 255. ``mean_image``: the net subtracts a whole mean image, of
    which ``mean`` is the average; the image is in ``normalization``. ``upright``: turned as EXIF says, first.
    """

    shorter_side: int | None
    crop: int | None
    interpolation: Literal["bilinear"]
    antialias: bool
    upright: bool
    mean: list[float]
    std: list[float] | None
    mean_image: bool


class CheckpointOrigin(TypedDict):
    """Where the weights come from."""

    sha256: str
    iteration: int
    selection: str
    trained_in: str
    imported_from: JsonValue


class Description(TypedDict):
    """Everything that a reader needs to use the network, as JSON values."""

    made_by: str
    model: str
    model_spec: dict[str, JsonValue]
    architecture: Architecture | None
    batch_norm: Literal["folded", "separate"]
    precision: ExportPrecision
    quantization: Quantization | None
    dataset: str
    class_names: list[str]
    input: InputDescription
    output: OutputDescription
    preparation: str
    transform: Transform
    normalization: StoredNormalization
    test_protocol: TestProtocol
    checkpoint: CheckpointOrigin
    training: dict[str, JsonValue] | None
    differs_from_paper: list[dict[str, str]] | None
    results: list[Mapping[str, object]]


def describe(
    checkpoint: Checkpoint, options: Options, results: Sequence[Mapping[str, object]]
) -> Description:
    """Model, classes, input, normalisation, origin, the ledger's differences and measured errors.

    Args:
        checkpoint: the trained network.
        options: how it is written.
        results: rows with split, protocol and errors in percent, as ``rescli eval`` gives them.
    """
    dataset, spec = checkpoint.dataset, checkpoint.spec
    protocol = default_protocol(dataset)
    return {
        "made_by": f"rescli {__version__}",
        "model": checkpoint.model.name,
        "model_spec": checkpoint.model.model_dump(mode="json", exclude_none=True),
        "architecture": standalone_architecture(checkpoint.model, num_classes=len(checkpoint.class_names)),
        "batch_norm": "folded" if options.fold_bn else "separate",
        "precision": options.precision,
        "quantization": options.quantization if options.precision == "int8" else None,
        "dataset": dataset.kind,
        "class_names": list(checkpoint.class_names),
        "input": _input(dataset, options),
        "output": {
            "name": options.output_name,
            "dtype": "float32",
            "shape": [options.batch_size or "batch", len(checkpoint.class_names)],
        },
        "preparation": _preparation(checkpoint, options),
        "transform": _transform(checkpoint),
        "normalization": checkpoint.normalization.to_json(),
        "test_protocol": {"name": protocol.name, "text": protocol.views(dataset).describe()},
        "checkpoint": {
            "sha256": checkpoint.sha256,
            "iteration": checkpoint.iteration,
            "selection": checkpoint.selection,
            "trained_in": checkpoint.precision,
            "imported_from": checkpoint.data.get("imported_from"),
        },
        "training": None if spec is None else spec.to_dict(),
        "differs_from_paper": None if spec is None else [row.to_dict() for row in differences(ledger(spec))],
        "results": list(results),
    }


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON in which every script stays readable.

    Names of files that are no UTF-8 cannot be written so; where there are any, all of it is ASCII.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def _input(dataset: DatasetSpec, options: Options) -> InputDescription:
    size, batch = dataset.image_size, options.batch_size or "batch"
    if not options.with_preprocessing:
        shape: list[int | str] = [batch, 3, size, size]
        return {"name": options.input_name, "dtype": "float32", "shape": shape, "is": "normalised"}
    sides: list[int | str] = ["height", "width"] if dataset.any_size else [size, size]
    return {
        "name": options.input_name,
        "dtype": "uint8",
        "shape": [batch, *sides, 3],
        "is": "red green blue, 0 to 255; resized, cropped and normalised inside"
        if dataset.any_size
        else "red green blue, 0 to 255; normalised inside",
    }


def _transform(checkpoint: Checkpoint) -> Transform:
    dataset, normalization = checkpoint.dataset, checkpoint.normalization
    views = default_protocol(dataset).views(dataset)
    return {
        "shorter_side": views.shorter_sides[0] if views.shorter_sides else None,
        "crop": views.crop,
        "interpolation": "bilinear",
        "antialias": True,
        "upright": views.upright,
        "mean": normalization.mean_CHW.double().mean((1, 2)).tolist(),
        "std": None if normalization.std_C is None else normalization.std_C.double().tolist(),
        "mean_image": normalization.kind == "per-pixel-mean",
    }


def _preparation(checkpoint: Checkpoint, options: Options) -> str:
    """From a picture to the network's input, in words: what the caller does, before what is in the graph."""
    dataset, normalization = checkpoint.dataset, checkpoint.normalization
    views = replace(default_protocol(dataset).views(dataset), upright=False)  # which is the first step
    fitted = describe_preparation(views, dataset)
    turned = ["turned upright, as its EXIF says"] if dataset.upright else []
    steps = [*turned, "red, green, blue", fitted.rpartition(":" if dataset.any_size else ";")[0]]
    mean = ", ".join(f"{m:.6f}" for m in normalization.mean_CHW.double().mean((1, 2)).tolist())
    if normalization.kind == "per-pixel-mean":
        steps.append(f"pixel / 255, minus the mean image (on average {mean})")
    else:
        steps.append(f"pixel / 255, minus {mean}")
    if normalization.std_C is not None:
        steps.append("divided by " + ", ".join(f"{s:.6f}" for s in normalization.std_C.tolist()))
    text = "; ".join(steps)
    if not options.with_preprocessing:
        return f"{text}; float32 (N, 3, height, width)"
    inside = "all of it" if dataset.any_size else "what follows the resizing"
    return f"{text}; {inside} is inside the file"
