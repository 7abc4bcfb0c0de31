"""What travels with the weights, as JSON values: so that nobody has to guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rescli import __version__
from rescli.checkpoints.checkpoint import Checkpoint
from rescli.evaluation.protocols import choose_protocol
from rescli.exporters.architectures import standalone_architecture
from rescli.exporters.base import Options
from rescli.runs.known_results import KnownResult
from rescli.spec.ledger.ledger import differences, ledger

__all__ = ["describe"]


def describe(checkpoint: Checkpoint, options: Options, results: Sequence[KnownResult]) -> dict[str, Any]:
    """Model, classes, input, normalisation, origin, the ledger's differences and measured errors.

    results: rows with split, protocol and errors in percent, as ``known_results`` gives them.
    """
    dataset, spec = checkpoint.dataset, checkpoint.spec
    protocol = choose_protocol(None, any_size=dataset.any_size)
    views = protocol.views(any_size=dataset.any_size, image_size=dataset.image_size)
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
        "input": _input(dataset.image_size, any_size=dataset.any_size, raw=options.with_preprocessing),
        "normalization": checkpoint.normalization.to_json(),
        "test_protocol": {"name": protocol.name, "text": views.describe()},
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


def _input(size: int, *, any_size: bool, raw: bool) -> dict[str, Any]:
    if not raw:
        return {"name": "images", "dtype": "float32", "shape": ["batch", 3, size, size], "is": "normalised"}
    sides: list[Any] = ["height", "width"] if any_size else [size, size]
    return {
        "name": "images",
        "dtype": "uint8",
        "shape": ["batch", *sides, 3],
        "is": "red green blue, 0 to 255; resized, cropped and normalised inside"
        if any_size
        else "red green blue, 0 to 255; normalised inside",
    }
