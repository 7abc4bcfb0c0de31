"""What travels with the weights, as JSON values: so that nobody has to guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from pydantic import JsonValue

from rescli import __version__
from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.normalization import StoredNormalization
from rescli.evaluation.protocols import default_protocol
from rescli.exporters.architectures import Architecture, standalone_architecture
from rescli.exporters.base import Options
from rescli.exporters.choices import ExportPrecision, Quantization
from rescli.spec.base import DatasetSpec
from rescli.spec.ledger.ledger import differences, ledger

__all__ = ["CheckpointOrigin", "Description", "InputDescription", "TestProtocol", "describe"]


InputDescription = TypedDict(
    "InputDescription", {"name": str, "dtype": str, "shape": "list[int | str]", "is": str}
)
"""What the network takes; a side in ``shape`` is a number or the name of a free one."""


class TestProtocol(TypedDict):
    """How the single view of an image is made."""

    name: str
    text: str


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
        "input": _input(dataset, raw=options.with_preprocessing),
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


def _input(dataset: DatasetSpec, *, raw: bool) -> InputDescription:
    size = dataset.image_size
    if not raw:
        return {"name": "images", "dtype": "float32", "shape": ["batch", 3, size, size], "is": "normalised"}
    sides: list[int | str] = ["height", "width"] if dataset.any_size else [size, size]
    return {
        "name": "images",
        "dtype": "uint8",
        "shape": ["batch", *sides, 3],
        "is": "red green blue, 0 to 255; resized, cropped and normalised inside"
        if dataset.any_size
        else "red green blue, 0 to 255; normalised inside",
    }
