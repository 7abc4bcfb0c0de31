"""The learning rate as a pure function of the step and of what has been triggered so far.

No scheduler object walks along with the run: a schedule is two functions, so that a plan can print
the whole course before a run, and a resumed run needs only the trigger's few numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from rescli.plurals import counted

__all__ = ["MultiStep", "Observation", "Plateau", "Schedule", "Trigger", "Warmup"]

Trigger = Mapping[str, int | float]
"""JSON-able state of a schedule's triggers; empty at the start of a run."""


@dataclass(frozen=True)
class Observation:
    """What a trigger may look at: a window of training, or an evaluation.

    step: iterations done. Errors in percent; None where this observation does not hold one.
    """

    step: int
    train_error: float | None = None
    val_error: float | None = None


class Schedule(Protocol):
    """Both methods are pure."""

    def factor(self, step: int, trigger: Trigger) -> float:
        """What multiplies the base learning rate at iteration ``step`` (0 is the first)."""

    def observe(self, trigger: Trigger, observation: Observation) -> Trigger:
        """The trigger's state after an observation."""

    def changes(self, total_steps: int) -> list[tuple[int, float]]:
        """(step, factor) wherever the factor changes, if nothing triggers; the first is step 0."""

    def describe_triggers(self) -> list[str]:
        """A sentence for each trigger that can change the course."""


@dataclass(frozen=True)
class Warmup:
    """Multiply by ``factor`` until the training error of a window falls below ``until_train_error`` (%)."""

    factor: float
    until_train_error: float


@dataclass(frozen=True)
class MultiStep:
    """Multiply by ``factor`` at each milestone (iterations); optionally warm up first (section 4.2)."""

    milestones: tuple[int, ...]
    gamma: float
    warmup: Warmup | None = None

    def factor(self, step: int, trigger: Trigger) -> float:
        passed = sum(step >= milestone for milestone in self.milestones)
        warming_up = self.warmup is not None and "warmup_ended" not in trigger
        return self.gamma**passed * (self.warmup.factor if warming_up and self.warmup else 1.0)

    def observe(self, trigger: Trigger, observation: Observation) -> Trigger:
        if self.warmup is None or "warmup_ended" in trigger or observation.train_error is None:
            return trigger
        if observation.train_error >= self.warmup.until_train_error:
            return trigger
        return {**trigger, "warmup_ended": observation.step}

    def changes(self, total_steps: int) -> list[tuple[int, float]]:
        steps = [0, *(milestone for milestone in self.milestones if 0 < milestone < total_steps)]
        return [(step, self.factor(step, {"warmup_ended": 0})) for step in steps]

    def describe_triggers(self) -> list[str]:
        if self.warmup is None:
            return []
        return [
            f"until the training error falls below {self.warmup.until_train_error:g} %, "
            f"the learning rate is {self.warmup.factor:g} of these"
        ]


@dataclass(frozen=True)
class Plateau:
    """Multiply by ``gamma`` when the validation error has not fallen for ``patience`` evaluations.

    Section 3.4, which gives no number. The count begins anew after each drop; the lowest error so far stays
    the one to beat.
    """

    patience: int
    gamma: float

    def factor(self, step: int, trigger: Trigger) -> float:
        return float(self.gamma ** int(trigger.get("drops", 0)))

    def observe(self, trigger: Trigger, observation: Observation) -> Trigger:
        if observation.val_error is None:
            return trigger
        if "lowest" not in trigger or observation.val_error < trigger["lowest"]:
            return {**trigger, "lowest": observation.val_error, "waited": 0}
        waited = int(trigger["waited"]) + 1
        if waited < self.patience:
            return {**trigger, "waited": waited}
        return {**trigger, "waited": 0, "drops": int(trigger.get("drops", 0)) + 1}

    def changes(self, total_steps: int) -> list[tuple[int, float]]:
        return [(0, 1.0)]

    def describe_triggers(self) -> list[str]:
        return [
            f"times {self.gamma:g} when the validation error has not fallen for "
            f"{counted(self.patience, 'evaluation')}"
        ]
