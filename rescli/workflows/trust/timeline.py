"""How a training went by, and the moments of it at which another is killed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Moment", "Training"]


@dataclass(frozen=True)
class Moment:
    """When to kill.

    Attributes:
        step: once the state of this iteration is saved; None for once training began.
        seconds: so much later.
    """

    step: int | None
    seconds: float


@dataclass(frozen=True)
class Training:
    """How a training that was left alone went by.

    Attributes:
        marks: (iteration, seconds) from the beginning of the training on: that, and each state that was seen
            to be saved.
        seconds: from the start of the process to its end.
        ended: as the marks count, when the process ended.
    """

    marks: tuple[tuple[int, float], ...]
    seconds: float
    ended: float

    def moments(self, first_step: int) -> list[tuple[Moment, float]]:
        """Each mark as a moment, with the seconds until the next, or after the last until the end."""
        times = [*(at for _, at in self.marks), self.ended]
        steps = [None if step == first_step else step for step, _ in self.marks]
        return [(Moment(step, 0.0), times[k + 1] - times[k]) for k, step in enumerate(steps)]

    def iteration_at(self, moment: Moment, first_step: int) -> int:
        """The iteration that it was at, at that moment; between two marks, in proportion."""
        places = [k for k, (step, _) in enumerate(self.marks) if step == (moment.step or first_step)]
        here = places[0] if places else 0
        step, at = self.marks[here]
        later = self.marks[here + 1 :]
        if not later or later[0][1] <= at:
            return step
        share = min(1.0, moment.seconds / (later[0][1] - at))
        return step + int(share * (later[0][0] - step))
