"""Who is told of a run: the caller's sinks, loggers, and what shows it on a screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from rescli import registry
from rescli.report.progress.run import training_progress
from rescli.runs.logger import MakeLogger
from rescli.spec.run import RunSpec
from rescli.training.events import Sink
from rescli.workflows.results.run import RunStart

__all__ = ["Observers", "Progress"]

Progress = Callable[[RunSpec, int], AbstractContextManager[Sink]]
"""(spec, iteration to begin at) -> a block whose sink shows the run."""


@dataclass(frozen=True)
class Observers:
    """Who is told of a run."""

    sinks: Sequence[Sink]
    loggers: Sequence[MakeLogger]
    progress: Progress | bool | None
    on_start: Callable[[RunStart], None]

    @classmethod
    def of(
        cls,
        on_event: Sink | Sequence[Sink] | None,
        loggers: str | MakeLogger | Sequence[str | MakeLogger],
        progress: Progress | bool | None,
        on_start: Callable[[RunStart], None],
    ) -> Observers:
        sinks = [on_event] if callable(on_event) else list(on_event or ())
        named = [loggers] if isinstance(loggers, str) or callable(loggers) else loggers
        made = [registry.load("loggers", one) if isinstance(one, str) else one for one in named]
        always = registry.load("loggers", "jsonl")
        return cls(sinks, [one for one in made if one is not always], progress, on_start)

    def shown(self, start: RunStart) -> AbstractContextManager[Sink]:
        """A block whose sink shows the run on a screen."""
        if callable(self.progress):
            return self.progress(start.spec, start.step)
        return training_progress(
            name=start.spec.name,
            total_steps=start.spec.iterations,
            start_step=start.step,
            progress=self.progress,
        )
