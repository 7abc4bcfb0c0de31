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
from rescli.kernels.conv.choice import TORCH, Convolutions, choose_convolutions
from rescli.remedy import Remedy
from rescli.training.engines.capture import Capturer, CudaCapturer, NotCapturable, Snapshot
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
    """An engine that is ready, and why it is this one.

    Attributes:
        engine: ready to advance the state.
        why_slower: what kept ``auto`` from a faster one, for a person; None where nothing did.
    """

    engine: Engine
    why_slower: str | None = None

    @property
    def reason(self) -> str | None:
        """Why a step or an evaluation runs slower than it might, as far as is known by now."""
        return self.why_slower or getattr(self.engine.forward, "why_slower", None)


@dataclass(frozen=True)
class ChosenKernels:
    """Kernels that were found to work here.

    Attributes:
        name: triton, native or plain.
        why_plain: what kept ``auto`` from faster ones, for a person; None where nothing did.
        convolutions: what computes those of a training step.
    """

    name: KernelName
    why_plain: str | None = None
    convolutions: Convolutions = TORCH


PLAIN = ChosenKernels("plain")


def choose_kernels(
    requested: str, numerics: Numerics, *, engine: str, convolutions: str | None = None
) -> ChosenKernels:
    """The kernels of a name, or for ``auto`` the fastest that a short test finds right.

    ``auto`` is triton on CUDA and native on the CPU, else plain.

    Args:
        requested: one of ``KERNELS``.
        numerics: the device, and the precision that they are tested in.
        engine: the name of the engine that was asked for; torch.compile makes kernels of its own.
        convolutions: the name of those that a run was recorded with, to be repeated; None for the fastest.

    Raises:
        UsageError: no such kernels, or those asked for do not work here.
    """
    if requested not in KERNELS:
        raise UsageError(f"unknown kernels {requested!r}; known: {', '.join(KERNELS)}.")
    by_device: dict[str, KernelName] = {"cuda": "triton", "cpu": "native"}
    fastest = by_device.get(numerics.device.type, "plain")
    wanted = fastest if requested == "auto" else cast(KernelName, requested)
    if wanted == "plain":
        return ChosenKernels("plain", convolutions=Convolutions("torch", "the kernels are plain"))
    if engine == "compile":
        obstacle: str | None = "torch.compile makes kernels of its own"
    else:
        obstacle = self_test(wanted, numerics.device, [numerics.dtype])
    if obstacle is None:
        if wanted != "native":
            return ChosenKernels(wanted)
        return ChosenKernels(wanted, convolutions=choose_convolutions(numerics.dtype, convolutions))
    if requested != "auto" and convolutions is not None:
        raise UsageError(
            f"the run began with {requested} kernels, which do not work here: {obstacle}.",
            remedy=Remedy("kernels", "plain", "goes on without them, and not bit for bit"),
            page="kernels-or-engine-do-not-work-here",
        )
    if requested != "auto":
        asked = Remedy("kernels", requested)
        raise UsageError(
            f"{asked} does not work here: {obstacle}.",
            given=asked,
            remedy=Remedy("kernels", "plain"),
            page="kernels-or-engine-do-not-work-here",
        )
    return ChosenKernels("plain", obstacle, Convolutions("torch", f"the kernels are plain: {obstacle}"))


def check_engine(requested: str, numerics: Numerics) -> None:
    """Refuse an engine's name for what can be said of it before there is a state.

    Raises:
        UsageError: no such engine, or not on this device.
    """
    if requested not in ENGINES:
        raise UsageError(f"unknown engine {requested!r}; known: {', '.join(ENGINES)}.")
    if requested == "graph" and numerics.device.type != "cuda":
        raise _does_not_work("graph", f"CUDA graphs need a CUDA device, and this is {numerics.device.type}.")


def choose_engine(
    requested: str,
    state: TrainState,
    feed: Feed,
    numerics: Numerics,
    ranks: Ranks = ALONE,
    *,
    capturer: Capturer | None = None,
) -> Chosen:
    """The engine of a name, ready to advance the state; ``auto`` is graph where that works, else eager.

    Args:
        requested: one of ``ENGINES``.
        state: what is to be trained; it is left as it was.
        feed: the training batches.
        numerics: the device and the precision.
        ranks: the processes that train together.
        capturer: None for CUDA graphs; a test's own elsewhere.

    Raises:
        UsageError: no such engine, or the one asked for does not work here.
    """
    if capturer is None:
        check_engine(requested, numerics)
    if requested == "eager":
        return Chosen(EagerEngine(state, feed.batch, numerics, ranks))
    if requested == "compile":
        return Chosen(_compiled_engine(state, feed, numerics, ranks))
    if numerics.device.type != "cuda" and capturer is None:
        return Chosen(EagerEngine(state, feed.batch, numerics, ranks))
    obstacle = _unfit(feed, ranks)
    if obstacle is None:
        try:
            return Chosen(_graph_engine(state, feed, numerics, capturer))
        except NotCapturable as error:
            obstacle = f"the step cannot be recorded as a CUDA graph: {error}"
    if requested == "graph":
        raise _does_not_work("graph", f"{obstacle}.")
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
    capturer: Capturer | None,
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
        capturer=capturer or CudaCapturer(numerics.device),
        model=model,
        name="graph" if model is None else "compile",
    )


def _compiled_engine(state: TrainState, feed: Feed, numerics: Numerics, ranks: Ranks) -> Engine:
    """A compiled engine, recorded too where that can be, and tried for one step: only then does it fail."""
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
        hint = "torch.compile needs a C++ compiler; another engine does without"
        raise _does_not_work("compile", reason, hint=hint, instead="auto") from error
    return engine


def _does_not_work(
    engine: str, reason: str, *, hint: str | None = None, instead: str = "eager"
) -> UsageError:
    asked = Remedy("engine", engine)
    return UsageError(
        f"{asked} does not work here: {reason}",
        hint=hint,
        given=asked,
        remedy=Remedy("engine", instead),
        page="kernels-or-engine-do-not-work-here",
    )
