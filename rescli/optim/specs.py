"""Specs of the optimizers and schedules that rescli brings; torch arrives in ``build``."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator

from rescli.optim.schedules import MultiStep, Plateau, Warmup
from rescli.spec.base import OptimizerSpec, ScheduleSpec, Spec
from rescli.spec.units import Evaluations, Iterations, Percent

if TYPE_CHECKING:
    from torch import nn

    from rescli.optim.optimizer import Optimizer

__all__ = ["MultiStepSpec", "PlateauSpec", "SgdSpec", "WarmupSpec"]


class SgdSpec(OptimizerSpec):
    """Stochastic gradient descent with momentum (sections 3.4 and 4.2)."""

    kind: Literal["sgd"] = "sgd"
    lr: float = Field(0.1, gt=0, description="Base learning rate; the schedule multiplies it.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Share of the last step kept in the next.")
    nesterov: bool = Field(False, description="Nesterov's form of momentum.")
    weight_decay: float = Field(
        1e-4, ge=0, description="Weight decay: factor of the weights that is added to their gradient (L2)."
    )
    decay: Literal["all", "weights"] = Field(
        "all",
        description="Which parameters decay: all, or the weights of convolutions and the linear layer alone.",
    )

    def build(self, model: nn.Module) -> Optimizer:
        from rescli.optim.sgd import sgd

        return sgd(
            model,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            decay_weights_only=self.decay == "weights",
        )


class WarmupSpec(Spec):
    """A smaller learning rate until the net has begun to learn (section 4.2, 110 layers)."""

    factor: float = Field(0.1, gt=0, le=1, description="Factor of the learning rate during the warm-up.")
    until_train_error: Percent = Field(
        80.0,
        gt=0,
        lt=100,
        description="The warm-up ends once the training error of a window (metrics.every) is below.",
    )


class MultiStepSpec(ScheduleSpec):
    """Divide the learning rate at fixed iterations (section 4.2)."""

    kind: Literal["multistep"] = "multistep"
    milestones: tuple[Iterations, ...] = Field(
        (32000, 48000), description="Iterations at which the learning rate is multiplied by gamma, ascending."
    )
    gamma: float = Field(0.1, gt=0, le=1, description="Factor of the learning rate at each milestone.")
    warmup: WarmupSpec | None = Field(
        None, description="A smaller learning rate at first, as of the 110-layer net. Unset: none."
    )

    @field_validator("milestones")
    @classmethod
    def _ascending(cls, milestones: tuple[int, ...]) -> tuple[int, ...]:
        if any(later <= earlier for earlier, later in pairwise((0, *milestones))):
            raise ValueError("milestones must be positive and ascending")
        return milestones

    def scaled(self, ratio: float) -> Self:
        # Two milestones may fall on one iteration in a very short run: keep them apart.
        scaled: list[int] = []
        for milestone in self.milestones:
            scaled.append(max(round(milestone * ratio), (scaled[-1] if scaled else 0) + 1))
        return self.model_copy(update={"milestones": tuple(scaled)})

    def build(self) -> MultiStep:
        if self.warmup is None:
            return MultiStep(self.milestones, self.gamma)
        warmup = Warmup(self.warmup.factor, self.warmup.until_train_error)
        return MultiStep(self.milestones, self.gamma, warmup)


class PlateauSpec(ScheduleSpec):
    """Divide the learning rate when the validation error plateaus (section 3.4)."""

    kind: Literal["plateau"] = "plateau"
    patience: Evaluations = Field(
        5, ge=1, description="Evaluations without a lower validation error before the rate is multiplied."
    )
    gamma: float = Field(0.1, gt=0, lt=1, description="Factor of the learning rate at each plateau.")

    def build(self) -> Plateau:
        return Plateau(self.patience, self.gamma)
