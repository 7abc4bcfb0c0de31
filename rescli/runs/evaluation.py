"""A checkpoint on a split, and the note in its run that the split was opened."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from rescli.data.loader import eval_batches
from rescli.errors import CheckpointError
from rescli.evaluation.evaluate import evaluate
from rescli.runs.checkpoint import Checkpoint
from rescli.runs.files import read_json, write_json
from rescli.runs.record import device_name, now
from rescli.runs.recorder import val_result
from rescli.runs.rundir import RunDir
from rescli.training.precision import Numerics, choose_device, choose_precision

__all__ = ["evaluate_checkpoint"]

SINGLE_VIEW = "each image once, as it is, normalised by the training part's mean"


def evaluate_checkpoint(
    path: Path, *, split: str, data_root: Path | None, device: str, precision: str, batch_size: int
) -> dict[str, Any]:
    """Figures of one checkpoint, single view; errors in percent.

    A checkpoint inside a run directory gets the result written into the run's record, and an opening
    of the test set is logged there.

    Raises:
        CheckpointError: the file is damaged, or made for other classes than the data set has.
        DataError: images missing or damaged.
    """
    checkpoint = Checkpoint.read(path)
    chosen = choose_device(device)
    numerics = Numerics(chosen, choose_precision(precision, chosen))
    model = checkpoint.build_model().to(chosen).to(memory_format=torch.channels_last)
    images = checkpoint.dataset.build(data_root, (split,))[split]
    if images.class_names != checkpoint.class_names:
        raise CheckpointError(
            f"{path} knows {len(checkpoint.class_names)} classes, the data set has {images.num_classes}; "
            "their names or order differ."
        )
    if len(images) == 0:
        raise CheckpointError(f"the run of {path} set no images aside for {split}.", hint="--split test")
    batches = eval_batches(images, checkpoint.normalization, batch_size=batch_size, device=chosen)
    result = evaluate(model, batches, numerics=numerics)
    row = {
        "checkpoint": str(path),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "model": checkpoint.model.name,
        "dataset": checkpoint.dataset.kind,
        "iteration": checkpoint.iteration,
        "selection": checkpoint.selection,
        "split": split,
        "protocol": "single",
        "protocol_text": SINGLE_VIEW,
        **val_result(result.num_images, vars(result)),
        "precision": numerics.precision,
        "device": device_name(numerics),
        "data_sha256": images.fingerprint,
    }
    _note_in_run(path, row)
    return row


def _note_in_run(path: Path, row: dict[str, Any]) -> None:
    run_dir = RunDir.of_checkpoint(path)
    if run_dir is None or row["split"] != "test":
        return
    with run_dir.locked():
        record = read_json(run_dir.record)
        figures = {key: row[key] for key in ("num_images", "top1_error", "top5_error", "loss", "interval95")}
        noted = {
            "iteration": row["iteration"],
            **figures,
            "selection": row["selection"],
            "protocol": row["protocol"],
            "precision": row["precision"],
        }
        record["results"]["test"] = noted
        record["test_openings"].append({"opened": now(), "checkpoint_sha256": row["sha256"], **noted})
        write_json(run_dir.record, record)
