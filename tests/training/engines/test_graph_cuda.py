"""The recorded step on a real GPU; test_graph.py holds the same without one."""

from __future__ import annotations

import pytest
import torch

from rescli.hardware.numerics import Numerics
from rescli.runs.assembly import Assembly, assemble
from rescli.runs.where import Where
from rescli.spec.load import load_spec
from rescli.training.state import TrainState

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def assembly(model: str, precision: str, kernels: str, engine: str) -> Assembly:
    kind, depth = model.split("-")
    spec = load_spec(
        "shapes/base",
        [
            ("model", {"kind": kind, "depth": int(depth)}),
            ("data.batch_size", 64),
            ("data.dataset.num_train", 1000),
        ],
    )
    numerics = Numerics(torch.device("cuda"), precision)
    return assemble(spec, Where(engine=engine, kernels=kernels), numerics=numerics)


def trained(parts: Assembly, steps: int, state: TrainState | None = None) -> TrainState:
    state = state or parts.new_state()
    engine = parts.choose_engine(state).engine
    assert engine.name == parts.engine
    for step in range(steps):
        if state.window_length == len(state.ring):
            state.window_start = state.step
        engine.advance(0.1 if step < steps // 2 else 0.01)
    return state


def assert_equal(one: TrainState, other: TrainState) -> None:
    assert torch.equal(one.ring, other.ring)
    others = other.model.state_dict()
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, others[name]), name


@pytest.mark.parametrize("kernels", ["plain", "triton"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("model", ["resnet-20", "plain-20", "resnet-110"])
def test_fifty_recorded_steps_equal_fifty_eager_ones_bit_for_bit(
    model: str, precision: str, kernels: str
) -> None:
    one = trained(assembly(model, precision, kernels, "graph"), 50)
    other = trained(assembly(model, precision, kernels, "eager"), 50)
    assert_equal(one, other)


def test_a_run_goes_on_in_mid_window_with_a_recording_of_its_own() -> None:
    parts = assembly("resnet-20", "bf16", "triton", "graph")
    whole, parted = parts.new_state(), parts.new_state()
    for state, pieces in ((whole, [30]), (parted, [13, 17])):
        for steps in pieces:
            engine = parts.choose_engine(state).engine
            for _ in range(steps):
                if state.window_length == len(state.ring):
                    state.window_start = state.step
                engine.advance(0.1)
    assert_equal(whole, parted)


@pytest.mark.parametrize("kernels", ["plain", "triton"])
def test_the_recorded_evaluation_counts_what_the_model_counts(kernels: str) -> None:
    parts = assembly("resnet-20", "bf16", kernels, "graph")
    state = parts.new_state()
    engine = parts.choose_engine(state).engine
    for _ in range(2):
        for _ in range(5):
            state.window_start = state.step
            engine.advance(0.1)
        recorded = parts.evaluate_val(state.model, forward=engine.forward)
        assert recorded == parts.evaluate_val(state.model)


def test_the_kernels_leave_the_learning_as_it_is() -> None:
    """Not the same bits: they round once where plain torch rounds twice."""
    losses = []
    for kernels in ("plain", "triton"):
        state = trained(assembly("resnet-20", "fp32", kernels, "graph"), 3)
        losses.append(state.ring[:3, 0].cpu())
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-3, atol=1e-3)
