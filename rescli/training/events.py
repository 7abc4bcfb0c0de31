"""What ``fit`` yields. Events carry host values only; a sink that reads them never waits for the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "CheckpointDue",
    "EngineChosen",
    "EvalDone",
    "EvalResult",
    "EvalRunning",
    "Event",
    "FitDone",
    "MetricsReady",
    "Sink",
    "StepDone",
    "Stopped",
]


@dataclass(frozen=True)
class EvalResult:
    """Exact figures of one pass over a split; errors in percent, loss the mean cross-entropy in nats.

    ``top5_error`` is None of five classes or fewer, where no image could be wrong.
    """

    num_images: int
    top1_error: float
    top5_error: float | None
    loss: float


@dataclass(frozen=True)
class EngineChosen:
    """What advances the run, told before the first step.

    step: where the run stands. kernels: triton, native or plain. why_slower, why_plain: what kept
    ``auto`` from faster ones; None where nothing did.
    """

    step: int
    engine: str
    kernels: str
    why_slower: str | None = None
    why_plain: str | None = None


@dataclass(frozen=True)
class StepDone:
    """An iteration was handed to the device. ``step`` counts finished iterations."""

    step: int
    lr: float


@dataclass(frozen=True)
class MetricsReady:
    """Training figures over the window of iterations that ends at ``step``.

    loss: mean over the window. top1_error: percent, on augmented images, while the net changed.
    train_seconds: spent training since the start of the run, evaluation excluded.
    waited_seconds: of the window's seconds, those that steps waited for images; None where none can wait.
    """

    step: int
    epoch: float
    lr: float
    loss: float
    top1_error: float
    num_images: int
    images_per_second: float
    train_seconds: float
    waited_seconds: float | None = None


@dataclass(frozen=True)
class EvalRunning:
    """The validation part is being evaluated, for more than a second; told at most once a second.

    It goes to the caller's sinks alone. ``done`` of ``total`` images, in ``seconds``.
    """

    step: int
    done: int
    total: int
    seconds: float


@dataclass(frozen=True)
class EvalDone:
    """The validation part was evaluated; ``best`` if its error is the lowest so far (ties: the earlier)."""

    step: int
    epoch: float
    result: EvalResult
    best: bool


@dataclass(frozen=True)
class CheckpointDue:
    """The state must be saved now; ``fit`` rests while a sink copies it."""

    step: int


@dataclass(frozen=True)
class Stopped:
    """Asked to stop before the end; the state was saved."""

    step: int


@dataclass(frozen=True)
class FitDone:
    """All iterations are done and saved."""

    step: int


Event = EngineChosen | StepDone | MetricsReady | EvalRunning | EvalDone | CheckpointDue | Stopped | FitDone

Sink = Callable[[Event], None]
