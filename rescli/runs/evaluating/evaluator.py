"""A checkpoint file on a split: read, evaluated, and the seal of its run's test set kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.evaluation.evaluator import NetEvaluator, TrainedNet
from rescli.evaluation.result import NetResult
from rescli.runs.data_root.gone import require_images_of_checkpoint
from rescli.runs.directory import noted_data_root
from rescli.runs.evaluating.test_seal import log_opening, note_test_result

__all__ = ["Evaluator", "trained_net"]


@dataclass(eq=False)
class Evaluator(NetEvaluator):
    """What several checkpoints are evaluated by alike; reads files and keeps the seal.

    A checkpoint inside a run directory has each opening of the run's test set logged there, before the first
    image is looked at, and its single-view result written into the run's record.
    """

    def evaluate(self, path: Path) -> NetResult:
        """Errors of the checkpoint at ``path``.

        Raises:
            CheckpointError: the file is damaged, or made for other classes than the data set has.
            DataError: images missing or damaged.
            UsageError: the protocol does not fit the images or the net, a plugin's net failed, or the
                memory does not suffice.
        """
        return self.evaluate_checkpoint(path, Checkpoint.read(path))

    def evaluate_checkpoint(self, path: Path, checkpoint: Checkpoint) -> NetResult:
        """Errors of a checkpoint that was read already.

        Args:
            path: where it lies; in a run directory, the seal is kept there.
            checkpoint: what was read from it.

        Raises:
            CheckpointError, DataError, UsageError: as ``evaluate``.
        """
        if self.data_root is None and self.dataset in (None, checkpoint.dataset):
            require_images_of_checkpoint(path, checkpoint)
        prepared = self.prepare(trained_net(path, checkpoint))
        opens = prepared.split == "test" and prepared.own
        if opens:
            log_opening(path, checkpoint, prepared.protocol.name)
        result = self.measure(prepared)
        if opens and prepared.by_default_protocol:
            note_test_result(path, result.row)
        return result


def trained_net(path: Path, checkpoint: Checkpoint) -> TrainedNet:
    """A checkpoint as the evaluator takes it."""
    return TrainedNet(
        name=str(path),
        sha256=checkpoint.sha256,
        model_name=checkpoint.model.name,
        build=checkpoint.build_model,
        dataset=checkpoint.dataset,
        normalization=checkpoint.normalization,
        class_names=checkpoint.class_names,
        iteration=checkpoint.iteration,
        selection=checkpoint.selection,
        precision=checkpoint.precision,
        data_sha256=checkpoint.data.get("sha256", {}),
        data_root=noted_data_root(path),
        skip_damaged=bool(checkpoint.spec is not None and checkpoint.spec.data.skip_damaged),
    )
