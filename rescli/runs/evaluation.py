"""A checkpoint on a split, and the note in its run that the split was opened."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch

from rescli.data.loader import eval_batches
from rescli.errors import CheckpointError, DataError, RunDirError
from rescli.evaluation.evaluate import evaluate
from rescli.runs.checkpoint import Checkpoint
from rescli.runs.files import write_json
from rescli.runs.record import device_name, now
from rescli.runs.recorder import read_record, with_interval
from rescli.runs.rundir import RunDir
from rescli.training.precision import Numerics, choose_device, choose_precision

__all__ = ["evaluate_checkpoint"]

_log = logging.getLogger(__name__)

SINGLE_VIEW = "each image once, as it is, normalised as in training"


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
    numerics.configure_backend()
    model = checkpoint.build_model().to(chosen).to(memory_format=torch.channels_last)
    images = checkpoint.dataset.build(data_root, (split,))[split]
    if images.class_names != checkpoint.class_names:
        raise CheckpointError(
            f"{path} knows {len(checkpoint.class_names)} classes, the data set has {images.num_classes}; "
            "their names or order differ."
        )
    if len(images) == 0:
        raise CheckpointError(f"the run of {path} set no images aside for {split}.", hint="--split test")
    recorded = checkpoint.data.get("sha256", {}).get(split)
    if recorded not in (None, images.fingerprint):
        raise DataError(f"the {split} images are not those of the run of {path}: their fingerprints differ.")
    if split == "test":
        _log_opening(path, checkpoint)
    batches = eval_batches(images, checkpoint.normalization, batch_size=batch_size, device=chosen)
    result = evaluate(model, batches, numerics=numerics)
    row = {
        "checkpoint": str(path),
        "sha256": checkpoint.sha256,
        "model": checkpoint.model.name,
        "dataset": checkpoint.dataset.kind,
        "iteration": checkpoint.iteration,
        "selection": checkpoint.selection,
        "split": split,
        "protocol": "single",
        "protocol_text": SINGLE_VIEW,
        **with_interval(result.num_images, vars(result)),
        "precision": numerics.precision,
        "device": device_name(numerics),
        "data_sha256": images.fingerprint,
    }
    _note_in_run(path, row)
    return row


def _log_opening(path: Path, checkpoint: Checkpoint) -> None:
    """One line in the run's test_openings.jsonl, before the first test image is looked at."""
    run_dir = RunDir.of_checkpoint(path)
    if run_dir is None:
        return
    row = {
        "opened": now(),
        "checkpoint": path.name,
        "sha256": checkpoint.sha256,
        "iteration": checkpoint.iteration,
        "selection": checkpoint.selection,
    }
    try:
        with open(run_dir.test_openings, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        _log.warning("the opening of the test set is not in the run: %s", error)


def _note_in_run(path: Path, row: dict[str, Any]) -> None:
    """The result into record.json; that of the last weights on top, that of the best ones below it."""
    run_dir = RunDir.of_checkpoint(path)
    if run_dir is None or row["split"] != "test":
        return
    keys = ("iteration", "num_images", "top1_error", "top5_error", "loss", "interval95")
    noted = {key: row[key] for key in (*keys, "selection", "protocol", "precision")}
    try:
        with run_dir.locked():
            record = read_record(run_dir)
            before = record["results"].get("test", {})
            below = noted if row["selection"] == "best-val" else before.get("best_val")
            top = noted if row["selection"] != "best-val" or before.get("selection") != "last" else before
            top = {key: value for key, value in top.items() if key != "best_val"}
            record["results"]["test"] = {**top, **({"best_val": below} if below else {})}
            write_json(run_dir.record, record)
    except (RunDirError, CheckpointError) as error:
        # The figures are measured and are printed; a run that trains or may not be written goes without.
        _log.warning("the result is not in the run's record: %s", error)
