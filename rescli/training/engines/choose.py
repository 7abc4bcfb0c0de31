"""Which engine advances a run: asked for by name, or the fastest that works here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import nn

from rescli.errors import UsageError, first_line
from rescli.hardware.numerics import Numerics
from rescli.hardware.ranks import ALONE, Ranks
from rescli.kernels.choice import KernelName, self_test
from rescli.training.engines.capture import CudaRecorder, NotCapturable, Recorder, Snapshot
from rescli.training.engines.compiled import compiled
from rescli.training.engines.eager import EagerEngine
from rescli.training.engines.graph import GraphEngine
from rescli.training.fit import Engine
from rescli.training.state import TrainState

__all__ = [
    "ENGINES",
    "KERNELS",
    "PLAIN",
    "Chosen",
    "ChosenKernels",
    "DeviceFeed",
    "Feed",
    "check_engine",
    "choose_engine",
    "choose_kernels",
]

ENGINES = ("auto", "eager", "graph", "compile")
KERNELS = ("auto", "triton", "native", "plain")


class Feed(Protocol):
    """Batches by their step."""

    batch_size: int

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]: ...


class DeviceFeed(Feed, Protocol):
    """Batches out of a set that lies on the device: what a recorded step can draw for itself."""

    def indices(self, step: int, steps: int) -> torch.Tensor: ...

    def gather(self, indices_B: torch.Tensor, slots_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...


@dataclass(frozen=True, eq=False)
class Chosen:
    """engine: ready to advance the state. why_slower: what kept ``auto`` from a faster one, for a person."""

    engine: Engine
    why_slower: str | None = None

    @property
    def reason(self) -> str | None:
        """Why something runs slower than it might, as far as is known by now: a step, or an evaluation."""
        return self.why_slower or getattr(self.engine.forward, "why_slower", None)


@dataclass(frozen=True)
class ChosenKernels:
    """why_plain: what kept ``auto`` from faster ones, for a person."""

    name: KernelName
    why_plain: str | None = None


PLAIN = ChosenKernels("plain")


def choose_kernels(requested: str, numerics: Numerics, *, engine: str) -> ChosenKernels:
    """``auto`` is triton on CUDA and native on the CPU where a short test finds them right, else plain.

    Args:
        engine: as asked for; what compiles makes kernels of its own.

    Raises:
        UsageError: no such kernels, or those asked for do not work here.
    """
    if requested not in KERNELS:
        raise UsageError(f"unknown kernels {requested!r}; known: {', '.join(KERNELS)}.")
    by_device: dict[str, KernelName] = {"cuda": "triton", "cpu": "native"}
    fastest = by_device.get(numerics.device.type, "plain")
    wanted = fastest if requested == "auto" else cast(KernelName, requested)
    if wanted == "plain":
        return PLAIN
    if engine == "compile":
        obstacle: str | None = "torch.compile makes kernels of its own"
    else:
        obstacle = self_test(wanted, numerics.device, [numerics.dtype])
    if obstacle is None:
        return ChosenKernels(wanted)
    if requested != "auto":
        raise UsageError(f"--kernels {requested} does not work here: {obstacle}.", hint="--kernels plain")
    return ChosenKernels("plain", obstacle)


def check_engine(requested: str, numerics: Numerics) -> None:
    """What can be said of an engine's name before there is a state.

    Raises:
        UsageError: no such engine, or not on this device.
    """
    if requested not in ENGINES:
        raise UsageError(f"unknown engine {requested!r}; known: {', '.join(ENGINES)}.")
    if requested == "graph" and numerics.device.type != "cuda":
        raise UsageError(
            "--engine graph does not work here: CUDA graphs need a CUDA device, "
            f"and this is {numerics.device.type}.",
            hint="--engine eager",
        )


def choose_engine(
    requested: str,
    state: TrainState,
    feed: Feed,
    numerics: Numerics,
    ranks: Ranks = ALONE,
    *,
    recorder: Recorder | None = None,
) -> Chosen:
    """``auto`` is graph where that works, else eager; a name is taken at its word.

    Args:
        recorder: None for CUDA graphs; a test's own elsewhere.

    Raises:
        UsageError: no such engine, or the one asked for does not work here.
    """
    if recorder is None:
        check_engine(requested, numerics)
    if requested == "eager":
        return Chosen(EagerEngine(state, feed.batch, numerics, ranks))
    if requested == "compile":
        return Chosen(_compiled_engine(state, feed, numerics, ranks))
    if numerics.device.type != "cuda" and recorder is None:
        return Chosen(EagerEngine(state, feed.batch, numerics, ranks))
    obstacle = _unfit(feed, ranks)
    if obstacle is None:
        try:
            return Chosen(_graph_engine(state, feed, numerics, recorder))
        except NotCapturable as error:
            obstacle = f"the step cannot be recorded as a CUDA graph: {error}"
    if requested == "graph":
        raise UsageError(f"--engine graph does not work here: {obstacle}.", hint="--engine eager")
    return Chosen(EagerEngine(state, feed.batch, numerics, ranks), obstacle)


def _unfit(feed: Feed, ranks: Ranks) -> str | None:
    if ranks.size > 1:
        return "several processes add up their gradients between the launches of a step"
    if not hasattr(feed, "gather"):
        return "photographs are decoded by the host, step by step"
    return None


def _graph_engine(
    state: TrainState,
    feed: Feed,
    numerics: Numerics,
    recorder: Recorder | None,
    *,
    model: nn.Module | None = None,
) -> GraphEngine:
    drawn = cast(DeviceFeed, feed)
    return GraphEngine(
        state,
        order=drawn.indices,
        gather=drawn.gather,
        batch_size=drawn.batch_size,
        numerics=numerics,
        recorder=recorder or CudaRecorder(numerics.device),
        model=model,
        name="graph" if model is None else "compile",
    )


def _compiled_engine(state: TrainState, feed: Feed, numerics: Numerics, ranks: Ranks) -> Engine:
    """Compiled and, where that can be, recorded; tried for one step, since compiling fails only then."""
    model = compiled(state.model)
    try:
        if numerics.device.type == "cuda" and _unfit(feed, ranks) is None:
            return _graph_engine(state, feed, numerics, None, model=model)
        engine = EagerEngine(state, feed.batch, numerics, ranks, model=model, name="compile")
        snapshot, step = Snapshot(state), state.step
        engine.advance(float(state.optimizer.param_groups[0]["lr"]))
        state.step = step
        snapshot.undo()
    except (RuntimeError, NotCapturable) as error:
        reason = first_line(error)
        raise UsageError(
            f"--engine compile does not work here: {reason}",
            hint="torch.compile needs a C++ compiler; --engine auto does without",
        ) from error
    return engine
