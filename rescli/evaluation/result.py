"""What an evaluation came to: the logits of every image, and the row of errors made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, NotRequired, TypedDict

import torch

from rescli.data.labelled_images import LabelledImages
from rescli.errors import UsageError
from rescli.evaluation.averaging import average_models, within
from rescli.evaluation.metrics import calibration_error, confusion_matrix, result_from_logits, with_interval
from rescli.evaluation.protocols import Average, ViewChoices
from rescli.plurals import counted

__all__ = [
    "ClassRow",
    "ErrorFigures",
    "EvalRow",
    "Identity",
    "NetResult",
    "ensemble",
    "error_figures",
    "per_class",
    "require_alike",
    "result_line",
]


class ErrorFigures(TypedDict):
    """Errors among ``num_classes`` classes, in percent; ``loss`` is the mean cross-entropy.

    ``top5_error`` is None of five classes or fewer.
    """

    num_classes: int
    num_images: int
    top1_error: float
    top5_error: float | None
    loss: float
    interval95: list[float]
    calibration_error: float


ClassRow = TypedDict(
    "ClassRow", {"class": str, "num_images": int, "top1_error": float | None, "predicted": list[int]}
)
"""The images of one true class: their error in percent (None without images), counts by predicted class."""


class EvalRow(ErrorFigures):
    """One row of an evaluation: a net, or an ensemble, on one part of a data set by one protocol.

    ``subset`` holds the errors among the set's classes alone, where the net knows more than those.
    An ensemble has lists under ``checkpoint`` and ``sha256``, and no inference of its own.
    """

    checkpoint: str | list[str]
    sha256: str | list[str]
    model: str
    dataset: str
    iteration: int | None
    selection: str
    split: str
    protocol: str
    protocol_text: str
    views: ViewChoices
    num_views: int
    average: Average | None
    subset: NotRequired[ErrorFigures]
    precision: str
    device: str
    inference_seconds: NotRequired[float]
    cached: NotRequired[bool]
    data_sha256: str
    skipped_images: NotRequired[list[str]]
    per_class: NotRequired[list[ClassRow]]


class Identity(NamedTuple):
    """What results must share to be put together."""

    data_sha256: str
    class_names: tuple[str, ...]
    net_classes: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class NetResult:
    """One net, or an ensemble, on N images of one set. V views, K classes of the net, S of the set.

    Args:
        row: its errors in percent and how they came about, as JSON values.
        logits_NVK: float32; None for an ensemble.
        log_probabilities_NK: float64, of the views together.
        labels_N: in the order of the set's classes.
        columns: the net's output for each class of the set.
        class_names: the set's S classes.
        net_classes: names of all K outputs.
        images: the images themselves, for a closer look.
    """

    row: EvalRow
    logits_NVK: torch.Tensor | None
    log_probabilities_NK: torch.Tensor
    labels_N: torch.Tensor
    columns: list[int]
    class_names: tuple[str, ...]
    net_classes: tuple[str, ...]
    images: LabelledImages

    @property
    def file_names(self) -> tuple[str, ...]:
        """One name an image, where the set's authors gave names; else empty."""
        return self.images.file_names

    @property
    def identity(self) -> Identity:
        """The images, their classes and the net's outputs."""
        return Identity(self.row["data_sha256"], self.class_names, self.net_classes)

    @property
    def among_set(self) -> torch.Tensor:
        """Log-probabilities (N, S) among the set's classes alone."""
        if self.columns == list(range(self.log_probabilities_NK.shape[1])):
            return self.log_probabilities_NK
        return within(self.log_probabilities_NK, self.columns)

    def __repr__(self) -> str:
        return f"NetResult({result_line(self.row)})"


def result_line(row: EvalRow) -> str:
    """One line for people: ``resnet-56, cifar10 test, single: 7.02 % top-1 error of 10,000 images``."""
    where = f"{row['model']}, {row['dataset']} {row['split']}, {row['protocol']}"
    return f"{where}: {row['top1_error']:.2f} % top-1 error of {counted(row['num_images'], 'image')}"


def ensemble(members: Sequence[NetResult], average: Average) -> NetResult:
    """The average of several nets' results on the same images.

    Args:
        members: at least two.
        average: what of theirs is averaged.

    Raises:
        UsageError: fewer than two, the same net twice, or results on different images or classes.
    """
    if len(members) < 2:
        raise UsageError("an ensemble needs two checkpoints or more.")
    first = members[0]
    nets: dict[str, str] = {}
    for member in members:
        require_alike(first.identity, member.identity, _name(first), _name(member))
        sha256 = str(member.row["sha256"])
        if twin := nets.get(sha256):
            raise UsageError(f"{twin} and {_name(member)} are the same net: no ensemble.")
        nets[sha256] = _name(member)
    together = average_models([member.log_probabilities_NK for member in members], average)
    row: EvalRow = {
        "checkpoint": list(nets.values()),
        "sha256": list(nets),
        "model": f"ensemble of {len(members)}",
        "dataset": first.row["dataset"],
        "iteration": None,
        "selection": "ensemble",
        "split": first.row["split"],
        "protocol": first.row["protocol"],
        "protocol_text": first.row["protocol_text"],
        "views": first.row["views"],
        "num_views": first.row["num_views"],
        "average": average,
        # mypy would have the keys that may lack in every part that is unpacked
        **error_figures(together, first.labels_N, first.columns),  # type: ignore[typeddict-item]
        "precision": "+".join(sorted({member.row["precision"] for member in members})),
        "device": first.row["device"],
        "data_sha256": first.row["data_sha256"],
    }
    return NetResult(
        row=row,
        logits_NVK=None,
        log_probabilities_NK=together,
        labels_N=first.labels_N,
        columns=first.columns,
        class_names=first.class_names,
        net_classes=first.net_classes,
        images=first.images,
    )


def require_alike(first: Identity, other: Identity, first_name: str, other_name: str) -> None:
    """Refuse to put two results together that are not of the same images and classes.

    Raises:
        UsageError: says what differs.
    """
    outputs = "outputs: other classes, or the same in another order"
    for part, what in enumerate(("images", "classes of the images, or in another order", outputs)):
        if first[part] != other[part]:
            raise UsageError(
                f"{first_name} and {other_name} cannot be put together: they are of different {what}."
            )


class _Figures(ErrorFigures):
    subset: NotRequired[ErrorFigures]


def error_figures(log_probabilities_NK: torch.Tensor, labels_N: torch.Tensor, columns: list[int]) -> _Figures:
    """Errors among all classes of the net; where the set has fewer, under ``subset`` among those too.

    Args:
        log_probabilities_NK: float64 (N, K).
        labels_N: in the order of the set's classes.
        columns: the net's output for each class of the set.
    """
    among_all = _figures_among(log_probabilities_NK, torch.tensor(columns)[labels_N])
    figures: _Figures = {**among_all}  # type: ignore[typeddict-item]
    if len(columns) < log_probabilities_NK.shape[1]:
        figures["subset"] = _figures_among(within(log_probabilities_NK, columns), labels_N)
    return figures


def per_class(result: NetResult) -> list[ClassRow]:
    """Errors by true class, in the set's order; the prediction is decided among the set's classes."""
    counts = confusion_matrix(result.among_set, result.labels_N).tolist()
    rows: list[ClassRow] = []
    for label, (name, predicted) in enumerate(zip(result.class_names, counts, strict=True)):
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


def _figures_among(log_probabilities: torch.Tensor, labels_N: torch.Tensor) -> ErrorFigures:
    result = result_from_logits(log_probabilities, labels_N)
    return {
        "num_classes": log_probabilities.shape[1],
        **with_interval(result.num_images, vars(result)),
        "calibration_error": calibration_error(log_probabilities, labels_N),
    }


def _name(result: NetResult) -> str:
    return str(result.row["checkpoint"])
