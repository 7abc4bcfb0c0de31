"""The batch-norm kernels against formulas in float64. In the interpreter or on CUDA."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rescli.kernels.norm.plain import norm_act
from rescli.kernels.norm.tiles import NormLaunch, norm_launch

norm_triton: Any = pytest.importorskip("rescli.kernels.norm.triton", exc_type=ImportError)
if not norm_triton.INTERPRETED and not torch.cuda.is_available():
    pytest.skip("no CUDA device; test_interpreter.py runs these", allow_module_level=True)
pytestmark = pytest.mark.gpu

FP32, BF16, FP16 = torch.float32, torch.bfloat16, torch.float16
# Half the distance of neighbours above 1; the interpreter does not round to bf16 but cuts off.
ROUNDING = {FP32: 2.0**-24, BF16: 2.0**-7 if norm_triton.INTERPRETED else 2.0**-8, FP16: 2.0**-11}
"""What one rounding is off by at most, in relation to the value."""


def small_tiles(num_rows: int, num_channels: int) -> NormLaunch:
    """Several tiles for each program and several programs, in maps that the interpreter has done at once."""
    tiles = -(-num_rows // 16)
    return NormLaunch(
        block_rows=16,
        block_channels=16,
        num_warps=4,
        num_partials=-(-tiles // 3),
        rows_per_partial=48,
        num_programs=-(-tiles // 2),
        rows_per_program=32,
        channel_programs=-(-num_channels // 16),
    )


FORMS = ["none", "same", "padded", "padded-stride-1"]


@pytest.mark.parametrize(
    ("dtype", "relu"), [(FP32, True), (FP32, False), (BF16, True), (FP16, True)], ids=str
)
@pytest.mark.parametrize("form", FORMS)
def test_equals_float64(
    norm_cases: Any, form: str, dtype: torch.dtype, relu: bool, device: torch.device, launches: Counter[str]
) -> None:
    case = norm_cases.draw((3, 10, 5, 7), form, dtype=dtype, relu=relu)
    case.assert_close(norm_triton.norm_act_triton, device, ROUNDING)
    names = ("partial_statistics", "normalize", "gradient_sums", "input_gradient")
    assert launches == dict.fromkeys(names, 1)


@pytest.mark.parametrize(
    ("form", "dtype"), [("none", FP32), ("same", FP32), ("padded", FP32), ("padded", BF16)], ids=str
)
def test_many_programs_and_a_part_of_a_tile(
    norm_cases: Any, form: str, dtype: torch.dtype, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(norm_triton, "norm_launch", small_tiles)
    # 98 rows: 3 programs of 3 tiles, the last with 2 rows; 20 channels: two blocks, the last a quarter full.
    case = norm_cases.draw((2, 20, 7, 7), form, dtype=dtype)
    case.assert_close(norm_triton.norm_act_triton, device, ROUNDING)


def test_large_blocks(norm_cases: Any, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """As maps that do not fit the cache are cut."""
    monkeypatch.setattr(norm_triton, "norm_launch", _large)
    case = norm_cases.draw((2, 48, 9, 9), "same")
    case.assert_close(norm_triton.norm_act_triton, device, ROUNDING)


def _large(num_rows: int, num_channels: int) -> NormLaunch:
    large = norm_launch(1 << 20, num_channels)
    assert (large.block_rows, large.block_channels) == (64, 64)
    tiles = -(-num_rows // 64)
    return NormLaunch(64, 64, large.num_warps, tiles, 64, tiles, 64, -(-num_channels // 64))


@pytest.mark.parametrize("form", ["none", "same"])
def test_close_to_plain_torch(norm_cases: Any, form: str, device: torch.device) -> None:
    case = norm_cases.draw((4, 16, 6, 6), form)
    found, expected = case.by(norm_triton.norm_act_triton, device), case.by(norm_act, device)
    for name, right in expected.items():
        torch.testing.assert_close(found[name], right, rtol=1e-5, atol=1e-5, msg=name)


def test_statistics_where_the_mean_is_large(
    norm_cases: Any, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its square is 10^6 times the variance: in fp32 a difference of sums would be off by a tenth."""
    monkeypatch.setattr(norm_triton, "norm_launch", small_tiles)
    case = norm_cases.draw((2, 16, 9, 9), offset=1e3)
    found, expected = case.by(norm_triton.norm_act_triton, device), case.in_float64()
    torch.testing.assert_close(found["running_var"].double(), expected["running_var"], rtol=1e-5, atol=0)
    torch.testing.assert_close(found["running_mean"].double(), expected["running_mean"], rtol=1e-6, atol=0)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # numpy's, in the interpreter
@pytest.mark.parametrize("form", ["none", "same"])
def test_what_is_no_number_stays_none(norm_cases: Any, form: str, device: torch.device) -> None:
    """A ReLU that swallowed it would let a net that has diverged train on."""
    case = norm_cases.draw((2, 16, 4, 4), form)
    case.y[0, 3, 1, 1] = float("nan")
    case.y[1, 5, 0, 0] = float("inf")
    found, plain = case.by(norm_triton.norm_act_triton, device), case.by(norm_act, device)
    for name in ("z", "dy"):
        assert torch.equal(found[name].isnan(), plain[name].isnan()), name
    # The mean of an infinite map is infinite, or no number as CUDA's own normalisation has it.
    for name in ("running_mean", "running_var"):
        assert torch.equal(found[name].isfinite(), plain[name].isfinite()), name
    assert found["z"][:, 3].isnan().all()


def test_twice_the_same_bits(norm_cases: Any, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norm_triton, "norm_launch", small_tiles)
    case = norm_cases.draw((2, 10, 7, 7), "padded", dtype=BF16)
    first, second = (case.by(norm_triton.norm_act_triton, device) for _ in range(2))
    assert all(first[name].equal(second[name]) for name in first)


def test_an_expanded_gradient(norm_cases: Any, device: torch.device) -> None:
    """As it comes down from the average pooling: one value for a whole map, with strides of 0."""
    case = norm_cases.draw((3, 10, 5, 7), "same")
    case.dz = torch.randn(3, 10, 1, 1).expand(3, 10, 5, 7)
    case.assert_close(norm_triton.norm_act_triton, device, ROUNDING)


def test_only_the_gradients_that_are_wanted(norm_cases: Any, device: torch.device) -> None:
    case = norm_cases.draw((3, 10, 5, 7), "padded")
    assert case.residual is not None
    bn, y, residual = copy.deepcopy(case.bn).to(device), case.y.to(device), case.residual.to(device)
    bn.weight.requires_grad_(False)
    z = norm_triton.norm_act_triton(bn, y.requires_grad_(), residual, residual_stride=2)
    (dy,) = torch.autograd.grad(z, [y], case.dz.to(device))
    torch.testing.assert_close(dy.cpu().double(), case.in_float64()["dy"], rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert not norm_triton.norm_act_triton(bn, y, residual, residual_stride=2).requires_grad
    assert int(bn.num_batches_tracked) == 2


def test_falls_back_to_plain_torch(unfit_case: Any, device: torch.device, launches: Counter[str]) -> None:
    case = unfit_case
    y = case.y.to(device)
    if case.y.is_neg() and not y.is_neg():  # a copy to another device is no view any more
        y = torch._neg_view(-y)
    given = y, case.residual.to(device, y.dtype)
    found = norm_triton.norm_act_triton(copy.deepcopy(case.bn).to(device), *given)
    assert found.equal(norm_act(case.bn.to(device), *given))
    assert not launches


def test_one_value_per_channel_is_refused_as_ever(device: torch.device) -> None:
    y = torch.ones(1, 4, 1, 1, device=device).contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        norm_triton.norm_act_triton(nn.BatchNorm2d(4).to(device), y)


def test_a_replayed_graph_gives_the_same_bits(norm_cases: Any, device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("CUDA graphs need CUDA")
    case = norm_cases.draw((4, 16, 8, 8), "same", dtype=BF16)
    expected = case.by(norm_triton.norm_act_triton, device)
    assert case.residual is not None
    bn = copy.deepcopy(case.bn).to(device)
    y, residual, dz = case.y.to(device).requires_grad_(), case.residual.to(device), case.dz.to(device)

    def step() -> tuple[Tensor, ...]:
        z = norm_triton.norm_act_triton(bn, y, residual)
        return z, *torch.autograd.grad(z, [y, bn.weight, bn.bias], dz)

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    bn.load_state_dict(case.bn.state_dict())
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = step()
    bn.load_state_dict(case.bn.state_dict())
    graph.replay()
    for name, result in zip(("z", "dy", "dweight", "dbias"), results, strict=True):
        assert result.detach().cpu().equal(expected[name])
    assert bn.running_var is not None
    assert bn.running_var.cpu().equal(expected["running_var"])
    assert int(bn.num_batches_tracked) == 1
