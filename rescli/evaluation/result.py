"""What an evaluation came to: logits, predictions, figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rescli.errors import UsageError
from rescli.evaluation.averaging import average_models, within
from rescli.evaluation.metrics import calibration_error, confusion_matrix, result_from_logits, with_interval
from rescli.evaluation.protocols import Average

__all__ = ["Evaluated", "ensemble", "figures", "per_class", "require_alike"]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """One result. N images, V views, K classes of the net, S of the set.

    row: what ``rescli eval --json`` prints; errors in percent.
    logits_NVK: None for an ensemble. log_probabilities_NK: of the views together.
    columns: the net's output for each class of the set; labels_N are in the set's order.
    class_names: of the set. net_classes: of all outputs.
    """

    row: dict[str, Any]
    logits_NVK: torch.Tensor | None
    log_probabilities_NK: torch.Tensor
    labels_N: torch.Tensor
    columns: list[int]
    class_names: tuple[str, ...]
    net_classes: tuple[str, ...]
    file_names: tuple[str, ...]

    @property
    def identity(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """What results must share to be put together: the images, their classes, and the net's outputs."""
        return self.row["data_sha256"], self.class_names, self.net_classes

    @property
    def among_set(self) -> torch.Tensor:
        """Log-probabilities (N, S) among the set's classes alone."""
        if self.columns == list(range(self.log_probabilities_NK.shape[1])):
            return self.log_probabilities_NK
        return within(self.log_probabilities_NK, self.columns)


def ensemble(members: Sequence[Evaluated], average: Average) -> Evaluated:
    """The average of several results on the same images.

    Raises:
        UsageError: fewer than two, the same net twice, or of different images or classes.
    """
    if len(members) < 2:
        raise UsageError("an ensemble needs two checkpoints or more.")
    first = members[0]
    nets: dict[str, str] = {}
    for member in members:
        require_alike(first.identity, member.identity, first.row["checkpoint"], member.row["checkpoint"])
        if twin := nets.get(member.row["sha256"]):
            raise UsageError(f"{twin} and {member.row['checkpoint']} are the same net: no ensemble.")
        nets[member.row["sha256"]] = member.row["checkpoint"]
    together = average_models([member.log_probabilities_NK for member in members], average)
    row = {
        "checkpoint": [member.row["checkpoint"] for member in members],
        "sha256": [member.row["sha256"] for member in members],
        "model": f"ensemble of {len(members)}",
        "dataset": first.row["dataset"],
        "iteration": None,
        "selection": "ensemble",
        **{key: first.row[key] for key in ("split", "protocol", "protocol_text", "views", "num_views")},
        "average": average,
        **figures(together, first.labels_N, first.columns),
        "precision": "+".join(sorted({member.row["precision"] for member in members})),
        "device": first.row["device"],
        "data_sha256": first.row["data_sha256"],
    }
    return Evaluated(
        row=row,
        logits_NVK=None,
        log_probabilities_NK=together,
        labels_N=first.labels_N,
        columns=first.columns,
        class_names=first.class_names,
        net_classes=first.net_classes,
        file_names=first.file_names,
    )


def require_alike(
    first: tuple[str, tuple[str, ...], tuple[str, ...]],
    other: tuple[str, tuple[str, ...], tuple[str, ...]],
    first_name: str,
    other_name: str,
) -> None:
    """Raise UsageError where two results, by their ``identity``, cannot be put together."""
    for part, what in enumerate(("images", "classes of the images, or in another order", "outputs")):
        if first[part] != other[part]:
            raise UsageError(
                f"{first_name} and {other_name} cannot be put together: they are of different {what}."
            )


def figures(log_probabilities_NK: torch.Tensor, labels_N: torch.Tensor, columns: list[int]) -> dict[str, Any]:
    """Among all classes of the net; and, where the set has fewer, under ``subset`` among those."""
    among_all = _figures_among(log_probabilities_NK, torch.tensor(columns)[labels_N])
    if columns == list(range(log_probabilities_NK.shape[1])):
        return among_all
    subset = _figures_among(within(log_probabilities_NK, columns), labels_N)
    return {**among_all, "subset": subset}


def _figures_among(log_probabilities: torch.Tensor, labels_N: torch.Tensor) -> dict[str, Any]:
    result = result_from_logits(log_probabilities, labels_N)
    return {
        "num_classes": log_probabilities.shape[1],
        **with_interval(result.num_images, vars(result)),
        "calibration_error": calibration_error(log_probabilities, labels_N),
    }


def per_class(evaluated: Evaluated) -> list[dict[str, Any]]:
    """Per class of the set: images, top-1 error in percent (None without images), and the counts by predicted
    class, in the set's order, decided among the set's classes."""
    counts = confusion_matrix(evaluated.among_set, evaluated.labels_N).tolist()
    rows = []
    for label, (name, predicted) in enumerate(zip(evaluated.class_names, counts, strict=True)):
        num_images = sum(predicted)
        wrong = num_images - predicted[label]
        rows.append(
            {
                "class": name,
                "num_images": num_images,
                "top1_error": 100 * wrong / num_images if num_images else None,
                "predicted": predicted,
            }
        )
    return rows
