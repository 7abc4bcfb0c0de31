from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from rescli.errors import UsageError
from rescli.hardware.numerics import Numerics
from rescli.hardware.ranks import Ranks
from rescli.kernels.conv.choice import Convolutions
from rescli.models.resnet import cifar_resnet
from rescli.optim.sgd import sgd
from rescli.remedy import Remedy
from rescli.training.engines import choose
from rescli.training.engines.choose import ChosenKernels, choose_engine, choose_kernels
from rescli.training.state import TrainState

CPU = Numerics(torch.device("cpu"), "fp32")


class Photographs:
    batch_size = 4

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(step)
        return torch.randn(4, 3, 8, 8, generator=generator), torch.arange(4)


class OnDevice(Photographs):
    def indices(self, step: int, steps: int) -> torch.Tensor:
        return torch.arange(step * 4, (step + steps) * 4)

    def gather(self, indices_B: torch.Tensor, slots_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images = (indices_B[:, None, None, None] + torch.arange(192).view(1, 3, 8, 8)).sin()
        return images, slots_B % 10


def state_of(model: nn.Module | None = None) -> TrainState:
    model = model or cifar_resnet(depth=8, width=2)
    return TrainState(
        model, sgd(model, lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0), torch.zeros(3, 2)
    )


def test_auto_is_the_recorded_step_where_it_works(capturer: Any) -> None:
    chosen = choose_engine("auto", state_of(), OnDevice(), CPU, capturer=capturer)
    assert (chosen.engine.name, chosen.why_slower) == ("graph", None)


def test_auto_on_the_cpu_is_eager_and_nothing_to_explain() -> None:
    chosen = choose_engine("auto", state_of(), OnDevice(), CPU)
    assert (chosen.engine.name, chosen.why_slower) == ("eager", None)


class Reads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(192, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(images.flatten(1)) * images.max().item()


@pytest.mark.parametrize(
    ("model", "feed", "ranks", "told"),
    [
        (Reads(), OnDevice(), Ranks(), r"_local_scalar_dense.* \(in forward, test_choose\.py:\d+\)"),
        (None, Photographs(), Ranks(), "photographs are decoded by the host"),
        (None, OnDevice(), Ranks(0, 2), "several processes"),
    ],
)
def test_what_cannot_be_recorded_runs_eagerly_and_says_why(
    capturer: Any, monkeypatch: pytest.MonkeyPatch, model: Any, feed: Any, ranks: Ranks, told: str
) -> None:
    monkeypatch.setattr(Ranks, "wrap", lambda _self, model: model)
    state = state_of(model)
    chosen = choose_engine("auto", state, feed, CPU, ranks, capturer=capturer)
    assert chosen.engine.name == "eager"
    assert re.search(told, chosen.why_slower or "")
    with pytest.raises(UsageError, match=told) as caught:
        choose_engine("graph", state, feed, CPU, ranks, capturer=capturer)
    assert caught.value.remedies == (Remedy("engine", "eager"),)


def reading(optimizer: Any) -> TrainState:
    torch.manual_seed(0)
    state = state_of(Reads())
    if optimizer is not None:
        state.optimizer = optimizer(state.model.parameters(), lr=0.1)
    return state


@pytest.mark.parametrize("optimizer", [None, torch.optim.Adam, torch.optim.SGD, torch.optim.ASGD])
def test_an_engine_that_fell_back_trains_as_if_nothing_had_been_tried(capturer: Any, optimizer: Any) -> None:
    one, other = reading(optimizer), reading(optimizer)
    fallen = choose_engine("auto", one, OnDevice(), CPU, capturer=capturer)
    assert fallen.why_slower is not None
    assert all(parameter.grad is None for parameter in one.model.parameters())
    plain = choose_engine("eager", other, OnDevice(), CPU).engine
    for lr in (0.1, 0.01):
        fallen.engine.advance(lr)
        plain.advance(lr)
    assert torch.equal(one.ring, other.ring)
    for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("optimizer", "told"),
    [
        (torch.optim.ASGD, "the optimizer makes its (eta|mu|ax) as it goes"),
        (torch.optim.SGD, "_local_scalar_dense"),  # its plain update reads the learning rate
    ],
)
def test_an_optimizer_that_cannot_be_recorded_falls_back_and_begins_anew(
    capturer: Any, optimizer: Any, told: str
) -> None:
    states = []
    for _ in range(2):
        state = state_of()
        state.optimizer = optimizer(state.model.parameters(), lr=0.1, foreach=False)
        states.append(state)
    one, other = states
    fallen = choose_engine("auto", one, OnDevice(), CPU, capturer=capturer)
    assert re.search(told, fallen.why_slower or "")
    assert not one.optimizer.state
    plain = choose_engine("eager", other, OnDevice(), CPU).engine
    for _ in range(2):
        fallen.engine.advance(0.1)
        plain.advance(0.1)
    for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_recording_that_fails_is_named_by_what_failed(
    capturer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_work: Any) -> None:
        raise RuntimeError("CUDA error: operation not permitted\nwhen the stream is capturing")

    monkeypatch.setattr(capturer, "record", fail)
    state, untouched = state_of(), state_of()
    chosen = choose_engine("auto", state, OnDevice(), CPU, capturer=capturer)
    assert chosen.why_slower == (
        "the step cannot be recorded as a CUDA graph: CUDA error: operation not permitted"
    )
    for name, tensor in state.model.state_dict().items():
        assert torch.equal(tensor, untouched.model.state_dict()[name]), name


def test_graph_needs_cuda_and_names_are_checked() -> None:
    with pytest.raises(UsageError, match="CUDA graphs need a CUDA device, and this is cpu"):
        choose_engine("graph", state_of(), OnDevice(), CPU)
    with pytest.raises(UsageError, match="unknown engine 'grpah'; known: auto, eager, graph, compile"):
        choose_engine("grpah", state_of(), OnDevice(), CPU)


CUDA = Numerics(torch.device("cuda"), "bf16")
WINOGRAD = Convolutions("winograd")


def plain(why: str | None = None) -> ChosenKernels:
    reason = "the kernels are plain" + (f": {why}" if why else "")
    return ChosenKernels("plain", why, Convolutions("torch", reason))


@pytest.mark.parametrize(
    ("numerics", "requested", "engine", "test", "expected"),
    [
        (CUDA, "auto", "auto", None, ChosenKernels("triton")),
        (CUDA, "triton", "eager", None, ChosenKernels("triton")),
        (CUDA, "plain", "auto", None, plain()),
        (CUDA, "auto", "auto", "no C compiler", plain("no C compiler")),
        (CUDA, "auto", "compile", None, plain("torch.compile makes kernels of its own")),
        (CPU, "auto", "auto", None, ChosenKernels("native", convolutions=WINOGRAD)),
        (CPU, "native", "eager", None, ChosenKernels("native", convolutions=WINOGRAD)),
        (CPU, "auto", "auto", "no C compiler", plain("no C compiler")),
        (CPU, "auto", "compile", None, plain("torch.compile makes kernels of its own")),
        (Numerics(torch.device("mps"), "fp32"), "auto", "auto", None, plain()),
    ],
    ids=str,
)
def test_kernels_are_used_where_their_test_passes(
    monkeypatch: pytest.MonkeyPatch,
    numerics: Numerics,
    requested: str,
    engine: str,
    test: str | None,
    expected: ChosenKernels,
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(choose, "self_test", lambda *arguments: (asked.append(arguments), test)[1])
    monkeypatch.setattr(choose, "choose_convolutions", lambda *_: WINOGRAD)
    assert choose_kernels(requested, numerics, engine=engine) == expected
    tested = requested != "plain" and engine != "compile" and numerics.device.type != "mps"
    name = {"cuda": "triton", "cpu": "native"}.get(numerics.device.type)
    assert asked == ([(name, numerics.device, [numerics.dtype])] if tested else [])


def test_kernels_that_are_asked_for_and_do_not_work_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "self_test", lambda *_: "norm_act differs by 1e-1")
    with pytest.raises(UsageError, match='kernels="triton" does not work here: norm_act differs by 1e-1'):
        choose_kernels("triton", CUDA, engine="auto")
    with pytest.raises(UsageError, match="unknown kernels 'trton'; known: auto, triton, native, plain"):
        choose_kernels("trton", CPU, engine="auto")


def test_kernels_of_a_run_that_do_not_work_here_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "self_test", lambda *_: "there is no C compiler (cc)")
    with pytest.raises(
        UsageError, match=r"the run began with native kernels, which do not work here: there is no C compiler"
    ):
        choose_kernels("native", CPU, engine="eager", convolutions="winograd")


def test_kernels_of_another_device() -> None:
    with pytest.raises(UsageError, match='kernels="triton" does not work here: '):
        choose_kernels("triton", CPU, engine="auto")
    with pytest.raises(UsageError, match='"native" does not work here: the kernels run on cpu, not on cuda'):
        choose_kernels("native", CUDA, engine="auto")


def test_compile_is_tried_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nin three lines")

    monkeypatch.setattr(choose, "compiled", lambda _model: Fails())
    with pytest.raises(
        UsageError, match=r"\"compile\" does not work here: .*No working C\+\+ compiler found$"
    ):
        choose_engine("compile", state_of(), OnDevice(), CPU)


def test_trying_it_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "compiled", lambda model: model)  # what it computes, in no time
    state, other = state_of(), state_of()
    engine = choose_engine("compile", state, OnDevice(), CPU).engine
    assert (engine.name, state.step) == ("compile", 0)
    for name, tensor in state.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name]), name
    assert not state.ring.any()
