"""Checkpoints on a split, by a protocol: from files to figures."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.image_set import ImageSet
from rescli.data.photos.image_files import ImageFiles
from rescli.errors import CheckpointError, DataError, UsageError, first_line
from rescli.evaluation.averaging import average_views
from rescli.evaluation.classes import Matching, class_columns
from rescli.evaluation.logits_cache import CacheKey, LogitsCache, code_sha256, versions
from rescli.evaluation.predict import predict_views
from rescli.evaluation.protocols import Average, Protocol, Views, choose_protocol
from rescli.evaluation.result import Evaluated, figures, require_alike
from rescli.evaluation.views import ViewBatch, view_batches
from rescli.hardware.memory import is_out_of_memory
from rescli.hardware.numerics import Numerics, choose_device, choose_precision, precision_as_trained
from rescli.models.failure import naming_failed_module
from rescli.runs.record import device_name
from rescli.runs.test_seal import log_opening, note_test_result
from rescli.spec.base import DatasetSpec

__all__ = ["Evaluator"]

_log = logging.getLogger(__name__)

SMALL_BATCH, PHOTO_BATCH = 500, 64
"""Inputs per forward pass unless the user says else: of 32x32 and of 224x224 pixels."""


@dataclass(eq=False)
class Evaluator:
    """What several checkpoints are evaluated by alike.

    split: None for the test part, or where a set has none for val, or for all of a flat folder.
    protocol: None for the set's single view. dataset: another set than the checkpoint's own.
    progress: called with (views done, views of all images).
    together: whether the results are to be put together, in an ensemble or a file: checkpoints of other
        images or classes than the first one's are refused before any inference.
    """

    split: str | None
    protocol: str | None
    average: Average
    dataset: DatasetSpec | None
    matching: Matching
    data_root: Path | None
    device: str
    precision: str
    batch_size: int | None
    cache: LogitsCache | None
    progress: Callable[[int, int], None] | None = None
    together: bool = False
    _images: dict[tuple[str, str], ImageSet | ImageFiles] = field(default_factory=dict)
    _first: tuple[str, tuple[str, tuple[str, ...], tuple[str, ...]]] | None = None

    def evaluate(self, path: Path) -> Evaluated:
        """Figures of one checkpoint.

        A checkpoint inside a run directory gets the single-view result written into the run's record, and
        an opening of the run's test set is logged there.

        Raises:
            CheckpointError: the file is damaged, or made for other classes than the data set has.
            DataError: images missing or damaged.
            UsageError: the protocol does not fit the images or the net, a plugin's net failed, or the
                memory does not suffice.
        """
        checkpoint = Checkpoint.read(path)
        device = choose_device(self.device)
        numerics = Numerics(device, self._precision(checkpoint, device))
        dataset = self.dataset or checkpoint.dataset
        own = self.dataset is None or self.dataset == checkpoint.dataset
        protocol = choose_protocol(self.protocol, any_size=dataset.any_size)
        views = protocol.views(any_size=dataset.any_size, image_size=checkpoint.dataset.image_size)
        split = self.split or _default_split(dataset, self.data_root)
        images = self._read(dataset, split)
        columns = self._columns(path, checkpoint, images)
        if len(images) == 0:
            raise CheckpointError(f"the run of {path} set no images aside for {split}.", hint="--split test")
        recorded = checkpoint.data.get("sha256", {}).get(split) if own else None
        if recorded not in (None, images.fingerprint):
            raise DataError(
                f"the {split} images are not those of the run of {path}: their fingerprints differ."
            )
        if self.together:
            identity = images.fingerprint, images.class_names, checkpoint.class_names
            self._first = self._first or (str(path), identity)
            require_alike(self._first[1], identity, self._first[0], str(path))
        if checkpoint.selection == "imported" and own and split != "test":
            _log.warning("%s was imported: it may have been trained on the %s images.", path, split)
        if split == "test" and own:
            log_opening(path, checkpoint, protocol.name)
        with naming_failed_module(checkpoint.model.name):
            logits_NVK, notes = self._logits(checkpoint, images, views, numerics)
        log_probabilities_NK = average_views(logits_NVK, self.average)
        row = {
            "checkpoint": str(path),
            "sha256": checkpoint.sha256,
            "model": checkpoint.model.name,
            "dataset": dataset.kind,
            "iteration": checkpoint.iteration,
            "selection": checkpoint.selection,
            "split": split,
            **_described(protocol, views, self.average),
            **figures(log_probabilities_NK, images.labels_N, columns),
            "precision": numerics.precision,
            **notes,
            "data_sha256": images.fingerprint,
        }
        if split == "test" and own and self.protocol in (None, "single", "center224"):
            note_test_result(path, row)
        return Evaluated(
            row=row,
            logits_NVK=logits_NVK,
            log_probabilities_NK=log_probabilities_NK,
            labels_N=images.labels_N,
            columns=columns,
            class_names=images.class_names,
            net_classes=checkpoint.class_names,
            file_names=images.file_names,
        )

    def _precision(self, checkpoint: Checkpoint, device: torch.device) -> str:
        if self.precision == "auto":
            return precision_as_trained(checkpoint.precision, device)
        return choose_precision(self.precision, device)

    def _read(self, dataset: DatasetSpec, split: str) -> ImageSet | ImageFiles:
        """Once for all checkpoints of the same set."""
        key = (dataset.model_dump_json(), split)
        if key not in self._images:
            self._images[key] = dataset.build(self.data_root, (split,))[split]
        return self._images[key]

    def _columns(self, path: Path, checkpoint: Checkpoint, images: ImageSet | ImageFiles) -> list[int]:
        try:
            return class_columns(checkpoint.class_names, images.class_names, self.matching)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}", hint=error.hint) from error

    def _logits(
        self, checkpoint: Checkpoint, images: ImageSet | ImageFiles, views: Views, numerics: Numerics
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Logits (N, V, K) from the cache or the net, and how they came about."""
        num_classes = len(checkpoint.class_names)
        net = checkpoint.build_model()
        key = CacheKey(
            checkpoint_sha256=checkpoint.sha256,
            data_sha256=images.fingerprint,
            views=views.choices(),
            precision=numerics.precision,
            device_type=numerics.device.type,
            versions=versions(decoding=isinstance(images, ImageFiles) or bool(views.shorter_sides)),
            code_sha256=code_sha256(net),
        )
        shape = (len(images), views.count, num_classes)
        if self.cache is not None and (found := self.cache.get(key, shape)):
            logits_NVK, notes = found
            return logits_NVK, {**notes, "cached": True}
        numerics.configure_backend()
        model = net.to(numerics.device).to(memory_format=torch.channels_last)
        batches = view_batches(
            images,
            views,
            checkpoint.normalization,
            batch_size=self.batch_size or (PHOTO_BATCH if isinstance(images, ImageFiles) else SMALL_BATCH),
            device=numerics.device,
        )
        began = time.perf_counter()
        try:
            logits_NVK = predict_views(
                model,
                self._counted(batches, len(images) * views.count),
                num_images=len(images),
                num_views=views.count,
                num_classes=num_classes,
                numerics=numerics,
                window=views.window,
            )
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise UsageError(
                f"{numerics.device} has no memory for these batches: {first_line(error)}",
                hint="a smaller --batch-size",
            ) from error
        broken = int((~logits_NVK.isfinite()).any(2).any(1).sum())
        if broken:
            raise CheckpointError(
                f"{broken} of {len(images)} images give logits that are not finite in {numerics.precision}.",
                hint="--precision fp32" if numerics.precision != "fp32" else "the weights are of no use",
            )
        notes = {"device": device_name(numerics), "inference_seconds": time.perf_counter() - began}
        if self.cache is not None:
            self.cache.put(key, logits_NVK, notes)
        return logits_NVK, {**notes, "cached": False}

    def _counted(self, batches: Iterator[ViewBatch], total: int) -> Iterator[ViewBatch]:
        done = 0
        for batch in batches:
            yield batch
            done += len(batch.images)
            if self.progress is not None:
                self.progress(done, total)


def _default_split(dataset: DatasetSpec, data_root: Path | None) -> str:
    there = dataset.splits(data_root)
    return next((split for split in ("test", "val") if split in there), there[0])


def _described(protocol: Protocol, views: Views, average: Average) -> dict[str, Any]:
    averaged = f"; average of {average}" if views.count > 1 else ""
    return {
        "protocol": protocol.name,
        "protocol_text": views.describe() + averaged,
        "views": views.choices(),
        "num_views": views.count,
        "average": average if views.count > 1 else None,
    }
