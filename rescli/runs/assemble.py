"""Where specs become objects: data on the device, a model, an optimizer, a state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from rescli.data.image_set import ImageSet
from rescli.data.loader import DeviceLoader
from rescli.data.normalization import Normalization
from rescli.errors import UsageError
from rescli.evaluation.evaluate import evaluate
from rescli.spec.run import RunSpec
from rescli.training.engines.eager import EagerEngine
from rescli.training.events import EvalResult
from rescli.training.precision import Numerics
from rescli.training.state import TrainState

__all__ = ["EVAL_BATCH_SIZE", "Assembly", "assemble"]

EVAL_BATCH_SIZE = 500
"""Divides 5,000 and 10,000: large enough for any device, small enough for 1202 layers on a CPU."""


@dataclass(frozen=True, eq=False)
class Assembly:
    """The parts of one run that stay as they are while it trains."""

    spec: RunSpec
    numerics: Numerics
    train_set: ImageSet
    val_set: ImageSet | None
    normalization: Normalization
    loader: DeviceLoader
    data_root: str | None
    """Where the images were read, absolute; None for the usual places."""

    def new_state(self) -> TrainState:
        """The initial state, a pure function of the spec."""
        dataset, device = self.spec.data.dataset, self.numerics.device
        model = self.spec.model.build(
            num_classes=dataset.num_classes, image_size=dataset.image_size, seed=self.spec.seed
        ).to(device=device, memory_format=torch.channels_last)
        return TrainState(
            model=model.train(),
            optimizer=self.spec.optimizer.build(model),
            ring=torch.zeros(self.spec.metrics.every, 2, device=device),
        )

    def engine(self, state: TrainState) -> EagerEngine:
        return EagerEngine(state, self.loader.batch, self.numerics)

    def evaluate_val(self, model: torch.nn.Module) -> EvalResult:
        """Figures of the validation part, single view."""
        assert self.val_set is not None, "the plan holds no evaluation without a validation part"
        return evaluate(
            model, self.val_set, self.normalization, batch_size=EVAL_BATCH_SIZE, numerics=self.numerics
        )


def assemble(spec: RunSpec, *, numerics: Numerics, data_root: Path | None) -> Assembly:
    """Read the training and validation parts; the test part stays sealed.

    Raises:
        DataError: files missing or damaged.
        UsageError: the augmentation does not fit the images.
    """
    numerics.configure_backend()
    splits = spec.data.dataset.build(data_root, ("train", "val"))
    train_set, val_set = splits["train"], splits.get("val")
    if not isinstance(train_set, ImageSet) or not isinstance(val_set, ImageSet | None):
        raise UsageError(f"training on {spec.data.dataset.kind}, image files of any size, is not there yet.")
    normalization = Normalization.fit(train_set.images_NHWC, spec.data.normalization)
    augment = spec.data.augment
    try:
        loader = DeviceLoader(
            train_set,
            normalization,
            batch_size=spec.data.batch_size,
            seed=spec.seed,
            device=numerics.device,
            pad=augment.pad,
            flip=augment.flip,
        )
    except torch.OutOfMemoryError as error:
        raise UsageError(f"the training images do not fit on {numerics.device}: {error}") from error
    return Assembly(
        spec=spec,
        numerics=numerics,
        train_set=train_set,
        val_set=val_set if val_set is not None and len(val_set) else None,
        normalization=normalization,
        loader=loader,
        data_root=str(data_root.absolute()) if data_root is not None else None,
    )
