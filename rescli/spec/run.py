"""RunSpec: everything that decides a run's result, in one frozen, printable, hashable record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from rescli import paper, registry
from rescli.errors import RescliError
from rescli.spec.base import DatasetSpec, ModelSpec, OptimizerSpec, ScheduleSpec, Spec, plugged
from rescli.spec.photos import NATIVE_SIZE
from rescli.spec.toml import Table
from rescli.spec.units import Images, Iterations, Pixels

if TYPE_CHECKING:
    from rescli.data.folders.survey import Survey

__all__ = [
    "AugmentSpec",
    "CheckpointSpec",
    "DataSpec",
    "EvaluationSpec",
    "MetricsSpec",
    "Precision",
    "RunSpec",
    "StartSpec",
]

Precision = Literal["auto", "fp32", "bf16", "fp16"]


MOST_SAVES = 64
"""Saved states of a run whose schedule was scaled; the published schedule saves 64 too."""


class AugmentSpec(Spec):
    """Training augmentation: of images of one size (section 4.2), or of photographs (section 3.4)."""

    pad: Pixels = Field(
        paper.PAD,
        ge=0,
        le=32,
        description="Zeros added on each side of the image before the random crop; 0 for photographs.",
    )
    flip: bool = Field(True, description="Crop the image or, with probability 1/2, its mirror image.")
    shorter_side: tuple[Pixels, Pixels] | None = Field(
        None,
        description="Photographs: the smallest and the largest shorter side, between which one is drawn for "
        "each image. Unset: 256 and 480 for crops of 224, in proportion for others.",
    )
    color: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Photographs: standard deviation of the three factors of AlexNet's colour shift. Unset: "
        "no shift.",
    )


class DataSpec(Spec):
    """Which images, how they are normalised, augmented and batched."""

    dataset: plugged(DatasetSpec) = Field(description="The image set and its split.")  # type: ignore[valid-type]
    batch_size: Images = Field(
        256, ge=1, le=2**20, description="Images of one iteration, of all processes together."
    )
    normalization: Literal["per-pixel-mean", "per-channel"] = Field(
        "per-pixel-mean",
        description="per-pixel-mean subtracts the mean image; per-channel subtracts each channel's mean and "
        "divides by its standard deviation. Both are measured on the training part alone.",
    )
    augment: AugmentSpec = Field(AugmentSpec(), description="Random crops and flips of the training images.")
    skip_damaged: bool | None = Field(
        None, description="Photographs: a damaged one is replaced by the next. Unset: it stops the run."
    )


class StartSpec(Spec):
    """Weights to begin with: all that fit by name and shape; a head of other classes begins anew."""

    checkpoint: str = Field(description="The file; its normalisation is taken over too.")
    sha256: str = Field(description="Hash of the file: another one under that name is refused.")


class EvaluationSpec(Spec):
    """When the validation error is measured."""

    every: Iterations = Field(
        1000, ge=1, description="Iterations between evaluations on the validation part."
    )


class CheckpointSpec(Spec):
    """When the state for resume is written."""

    every: Iterations = Field(1000, ge=1, description="Iterations between saved states.")


class MetricsSpec(Spec):
    """When training loss and error are read from the device."""

    every: Iterations = Field(
        50,
        ge=1,
        le=10**6,
        description="Iterations per window of training loss and error; a warm-up's end is read off it.",
    )


class RunSpec(Spec):
    """One training run, whole: two runs with equal specs on one machine end with equal bits."""

    model: plugged(ModelSpec) = Field(description="The network.")  # type: ignore[valid-type]
    data: DataSpec
    optimizer: plugged(OptimizerSpec) = Field(description="What turns gradients into steps.")  # type: ignore[valid-type]
    schedule: plugged(ScheduleSpec) = Field(description="The course of the learning rate.")  # type: ignore[valid-type]
    iterations: Iterations = Field(64000, ge=1, le=10**9, description="Training iterations, one batch each.")
    seed: int = Field(
        0, ge=0, lt=2**63, description="Decides initial weights, order of images, crops and flips."
    )
    precision: Precision = Field(
        "auto", description="Precision of the convolutions; auto is bf16 where the device has it, else fp32."
    )
    evaluation: EvaluationSpec = EvaluationSpec()
    checkpoint: CheckpointSpec = CheckpointSpec()
    metrics: MetricsSpec = MetricsSpec()
    start_from: StartSpec | None = Field(None, description="Weights to begin with; unset: drawn by the seed.")
    scaled_from: Iterations | None = Field(
        None,
        ge=1,
        description="Iterations of the whole schedule, where a budget shortened it in proportion. Unset: "
        "it is whole.",
    )

    @model_validator(mode="before")
    @classmethod
    def _complete_model(cls, given: Any) -> Any:
        """Write down what the model leaves to the image size, so that the spec says it all."""
        if not isinstance(given, Mapping):
            return given
        model, image_size = given.get("model"), _image_size(given.get("data"))
        if isinstance(model, str):
            model = {"kind": model}
        if not isinstance(model, Mapping) or not isinstance(model.get("kind"), str):
            return given
        try:
            model_class = registry.load("models", model["kind"])
        except RescliError:
            return given  # the field's own validation says what is wrong, and where
        return {**given, "model": model_class.complete(dict(model), image_size=image_size)}

    @model_validator(mode="before")
    @classmethod
    def _complete_augmentation(cls, given: Any) -> Any:
        """Write down the shorter sides of photographs that nobody gave: the paper's, in proportion."""
        data = given.get("data") if isinstance(given, Mapping) else None
        dataset = _dataset(data)
        if not isinstance(data, Mapping) or dataset is None or not dataset.any_size:
            return given
        augment = data.get("augment", {})
        if not isinstance(augment, Mapping) or augment.get("shorter_side") is not None:
            return given
        sides = [side * dataset.image_size // NATIVE_SIZE for side in paper.SHORTER_SIDES]
        return {**given, "data": {**data, "augment": {**augment, "shorter_side": sides}}}

    @model_validator(mode="after")
    def _model_fits_images(self) -> Self:
        try:
            self.model.check(image_size=self.data.dataset.image_size)
        except ValueError as error:
            # Validators of the whole spec have no path of their own: say which section is meant.
            reason = {"reason": str(error), "section": "model"}
            raise PydanticCustomError("model_does_not_fit", "{reason}", reason) from error
        return self

    @model_validator(mode="after")
    def _augmentation_fits_images(self) -> Self:
        dataset, augment = self.data.dataset, self.data.augment
        photographs = dataset.any_size
        reason = None
        if photographs and augment.pad:
            reason = "photographs are resized, not padded: pad = 0"
        elif augment.shorter_side is not None and augment.shorter_side[0] > augment.shorter_side[1]:
            reason = "shorter_side is [smallest, largest]"
        elif augment.shorter_side is not None and augment.shorter_side[0] < dataset.image_size:
            reason = f"a shorter side below {dataset.image_size} holds no crop of that size"
        elif not photographs and (augment.shorter_side or augment.color):
            reason = f"shorter_side and color are for photographs; {dataset.kind} has images of one size"
        if reason:
            raise PydanticCustomError(
                "augmentation_does_not_fit", "{reason}", {"reason": reason, "section": "data.augment"}
            )
        return self

    def resolved(self, data_root: Path | None) -> Self:
        """The same spec with what only the image files can say: classes and counts of a folder.

        Raises:
            DataError: files missing, or such that no net can be trained on them.
        """
        resolved, survey = self.surveyed(data_root)
        if survey is not None:
            survey.require_trainable()
        return resolved

    def surveyed(
        self, data_root: Path | None, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Self, Survey | None]:
        """``resolved``, and what the image files hold; None where there are none to look at.

        Where no net can be trained on them, the survey says so, and nothing is filled in.

        Args:
            progress: called now and then with the number of images looked at, and of all that are to be.

        Raises:
            DataError: files missing.
        """
        dataset, survey = self.data.dataset.surveyed(data_root, progress)
        if dataset == self.data.dataset:
            return self, survey
        data = self.data.model_copy(update={"dataset": dataset})
        return self.model_copy(update={"data": data}), survey

    @property
    def name(self) -> str:
        """Short and readable: ``cifar10-resnet-20-seed0``."""
        return f"{self.data.dataset.kind}-{self.model.name}-seed{self.seed}"

    def to_dict(self) -> Table:
        """Plain JSON values, keys in the order of the fields, unset keys left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def fingerprint(self) -> str:
        """sha256 hex digest of the spec's canonical JSON: equal for equal specs only."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def scaled(self, iterations: int) -> Self:
        """The same course in ``iterations`` iterations: every point of it moves in proportion."""
        ratio = iterations / self.iterations
        changed = {
            "iterations": iterations,
            "schedule": self.schedule.scaled(ratio),
            "evaluation": EvaluationSpec(every=_scaled(self.evaluation.every, ratio)),
            # States are for safety, not part of the course: a short run need not save at every step.
            "checkpoint": CheckpointSpec(
                every=max(_scaled(self.checkpoint.every, ratio), iterations // MOST_SAVES)
            ),
            "metrics": MetricsSpec(every=min(self.metrics.every, _scaled(self.evaluation.every, ratio))),
            "scaled_from": self.scaled_from or self.iterations,
        }
        return self.model_copy(update=changed)


def _scaled(count: int, ratio: float) -> int:
    return max(1, round(count * ratio))


class _DatasetAlone(Spec):
    dataset: plugged(DatasetSpec)  # type: ignore[valid-type]


def _image_size(data: Any) -> int:
    """Side of the images of a raw ``data`` section.

    32 where the data set does not validate: that spec is refused anyway, and the message should
    name what is wrong with the data set, not what the model lacks for want of it.
    """
    dataset = _dataset(data)
    return 32 if dataset is None else int(dataset.image_size)


def _dataset(data: Any) -> DatasetSpec | None:
    """The data set of a raw ``data`` section; None where it does not validate."""
    if isinstance(data, DataSpec):
        return data.dataset  # type: ignore[no-any-return]
    dataset = data.get("dataset") if isinstance(data, Mapping) else None
    try:
        return _DatasetAlone.model_validate({"dataset": dataset}).dataset  # type: ignore[no-any-return]
    except ValidationError:
        return None
