"""RunSpec and data sizes -> TrainPlan: every step, learning rate and evaluation, before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from rescli.errors import SpecError

if TYPE_CHECKING:
    from rescli.optim.schedules import Schedule, Trigger
    from rescli.spec.run import RunSpec

__all__ = ["Estimate", "LearningRate", "PlanSummary", "TrainPlan", "estimate", "make_plan"]

CPU_TRAIN_GMACS_PER_CORE = {"bf16": 50.0, "fp32": 25.0}
"""Multiply-adds per second and core, in 1e9, a training step counted as three forward passes. ResNet-20
at batch 128 on two Zen 4 cores gave 44 to 59 in bf16 and 23 to 27 in fp32 (benchmarks/results). Wide nets
reach more, other processors less: an order of magnitude."""

BYTES_PER_SAVED_ELEMENT = {"bf16": 2, "fp16": 2, "fp32": 4}


class LearningRate(TypedDict):
    """The learning rate from an iteration on."""

    from_iteration: int
    lr: float


class PlanSummary(TypedDict):
    """A plan in a few numbers; ``triggers`` are sentences."""

    iterations: int
    epochs: float
    batch_size: int
    train_images: int
    val_images: int
    lr: list[LearningRate]
    triggers: list[str]
    evaluations: int
    saved_states: int


@dataclass(frozen=True)
class TrainPlan:
    """When everything happens; steps count finished iterations, 1 to total_steps.

    Attributes:
        total_steps: iterations of the whole run.
        batch_size: images an iteration.
        num_train: images of the training part.
        num_val: images that are set aside.
        base_lr: what the schedule multiplies.
        schedule: the course of the learning rate.
        metrics_every: iterations between readings of loss and error.
        eval_every: iterations between evaluations.
        checkpoint_every: iterations between saved states.
    """

    total_steps: int
    batch_size: int
    num_train: int
    num_val: int
    base_lr: float
    schedule: Schedule
    metrics_every: int
    eval_every: int
    checkpoint_every: int

    def lr(self, step: int, trigger: Trigger) -> float:
        """Learning rate of the iteration that starts when ``step`` iterations are done."""
        return _clean(self.base_lr * self.schedule.factor(step, trigger))

    def lr_changes(self) -> list[tuple[int, float]]:
        """(step, lr) from step 0 on, if nothing triggers."""
        changes = self.schedule.changes(self.total_steps)
        return [(step, _clean(self.base_lr * factor)) for step, factor in changes]

    def reads_metrics(self, step: int) -> bool:
        return self._due(step, self.metrics_every)

    def evaluates(self, step: int) -> bool:
        return self.num_val > 0 and self._due(step, self.eval_every)

    def saves(self, step: int) -> bool:
        return self._due(step, self.checkpoint_every)

    @property
    def num_evaluations(self) -> int:
        return -(-self.total_steps // self.eval_every) if self.num_val else 0

    def epoch(self, step: int) -> float:
        """Passes over the training part after ``step`` iterations."""
        return step * self.batch_size / self.num_train

    def _due(self, step: int, every: int) -> bool:
        return step > 0 and (step % every == 0 or step == self.total_steps)

    def to_dict(self) -> PlanSummary:
        """The plan as JSON holds it."""
        return {
            "iterations": self.total_steps,
            "epochs": round(self.epoch(self.total_steps), 3),
            "batch_size": self.batch_size,
            "train_images": self.num_train,
            "val_images": self.num_val,
            "lr": [{"from_iteration": step, "lr": lr} for step, lr in self.lr_changes()],
            "triggers": self.schedule.describe_triggers(),
            "evaluations": self.num_evaluations,
            "saved_states": -(-self.total_steps // self.checkpoint_every),
        }


def _clean(lr: float) -> float:
    """The learning rate as a person would write it, without the noise of 0.1 * 0.1."""
    return float(f"{lr:.12g}")


def make_plan(spec: RunSpec) -> TrainPlan:
    """Lay out when everything happens in a run.

    Raises:
        SpecError: the training part is empty.
    """
    sizes = spec.data.dataset.sizes
    if sizes["train"] < 1:
        raise SpecError("data.dataset: no images are left to train on; make the validation part smaller.")
    return TrainPlan(
        total_steps=spec.iterations,
        batch_size=spec.data.batch_size,
        num_train=sizes["train"],
        num_val=sizes["val"],
        base_lr=spec.optimizer.lr,
        schedule=spec.schedule.build(),
        metrics_every=spec.metrics.every,
        eval_every=spec.evaluation.every,
        checkpoint_every=spec.checkpoint.every,
    )


@dataclass(frozen=True)
class Estimate:
    """A rough forecast for this machine's CPU; a GPU is many times faster.

    Attributes:
        params: how many parameters the network has.
        macs: multiply-adds of one image's forward pass.
        cpu_train_seconds: of the whole run, evaluations included.
        memory_bytes: parameters, gradients, momentum, saved activations and images.
        precision: of the convolutions.
        cores: of this machine that the run may use.
    """

    params: int
    macs: int
    cpu_train_seconds: float
    memory_bytes: int
    precision: str
    cores: int


def estimate(spec: RunSpec, plan: TrainPlan, *, cores: int) -> Estimate | None:
    """Forecast time and memory; None for a model that does not tell its layout (a plugin's may not).

    Args:
        spec: of the run.
        plan: of the spec.
        cores: of this machine that the run may use.
    """
    dataset = spec.data.dataset
    layout = spec.model.layout(num_classes=dataset.num_classes, image_size=dataset.image_size)
    if layout is None:
        return None
    precision = spec.precision if spec.precision != "auto" else ("bf16" if _cpu_has_bf16() else "fp32")
    gmacs = CPU_TRAIN_GMACS_PER_CORE.get(precision, CPU_TRAIN_GMACS_PER_CORE["fp32"]) * cores * 1e9
    train = 3 * layout.macs * plan.total_steps * plan.batch_size / gmacs
    evaluation = layout.macs * plan.num_evaluations * plan.num_val / gmacs
    # Each convolution saves its input and its output (batch norm's input) for the backward pass.
    activations = 2 * layout.activations * plan.batch_size * BYTES_PER_SAVED_ELEMENT[precision]
    # Photographs are read as they are needed.
    held = 0 if dataset.any_size else plan.num_train + plan.num_val
    images = held * 3 * (dataset.image_size + 2 * spec.data.augment.pad) ** 2
    return Estimate(
        params=layout.params,
        macs=layout.macs,
        cpu_train_seconds=train + evaluation,
        memory_bytes=3 * 4 * layout.params + activations + images,
        precision=precision,
        cores=cores,
    )


def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
