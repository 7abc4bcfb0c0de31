"""The file of an evaluation's logits: everything that was computed, in safetensors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from rescli.checkpoints.serialise import serialise
from rescli.errors import CheckpointError
from rescli.evaluation.result import NetResult, require_alike
from rescli.files import write_atomically

__all__ = ["write_logits"]


def write_logits(path: Path, results: Sequence[NetResult]) -> None:
    """Write the logits of checkpoints that were evaluated on the same images.

    Tensors: ``labels`` int64 (N,), as outputs of the net; ``logits`` float32 (N, K), or (N, V, K) where the
    protocol has several views; for several checkpoints ``logits.0``, ``logits.1`` and so on. Metadata,
    each value JSON: ``results`` (their rows, in the order of the tensors), ``class_names`` of the labels,
    ``label_columns`` (the output of each class), ``file_names``.

    Args:
        path: of the new file; what stands there is replaced.
        results: of single nets, no ensemble.

    Raises:
        UsageError: they are of different images or classes.
        CheckpointError: it cannot be written; nothing is left at ``path``.
    """
    first = results[0]
    for other in results[1:]:
        names = str(first.row["checkpoint"]), str(other.row["checkpoint"])
        require_alike(first.identity, other.identity, *names)
    tensors = {"labels": torch.tensor(first.columns)[first.labels_N]}
    for number, result in enumerate(results):
        assert result.logits_NVK is not None
        logits = result.logits_NVK
        name = "logits" if len(results) == 1 else f"logits.{number}"
        tensors[name] = logits[:, 0].contiguous() if logits.shape[1] == 1 else logits
    metadata = {
        "results": [result.row for result in results],
        "class_names": first.class_names,
        "label_columns": first.columns,
        "file_names": first.file_names or [str(index) for index in range(len(first.labels_N))],
    }
    texts = {key: json.dumps(value) for key, value in metadata.items()}
    write_atomically(path, serialise(tensors, texts), error=CheckpointError)
