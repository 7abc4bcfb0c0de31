"""The compiled norm_act against formulas in float64, whole nets with it and without."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rescli.kernels.c_compiler import NoCompiler, compile_native
from rescli.kernels.norm.native import load_norm_native, norm_act_native
from rescli.kernels.norm.plain import norm_act

try:
    load_norm_native(torch.float32)
except NoCompiler as error:
    pytest.skip(str(error), allow_module_level=True)

CPU = torch.device("cpu")
FP32, BF16 = torch.float32, torch.bfloat16
ROUNDING = {FP32: 2.0**-24, BF16: 2.0**-8}
"""What one rounding is off by at most, in relation to the value."""


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("dtype", "relu"), list(itertools.product([FP32, BF16], [True, False])), ids=str)
@pytest.mark.parametrize("form", ["none", "same", "padded", "padded-stride-1"])
def test_equals_float64(
    form: str, dtype: torch.dtype, relu: bool, norm_cases: Any, calls: Counter[str]
) -> None:
    case = norm_cases.draw((3, 32, 5, 7), form, dtype=dtype, relu=relu)
    case.assert_close(norm_act_native, CPU, ROUNDING)
    assert calls == {"norm_forward": 1, "norm_backward": 1}


@pytest.mark.parametrize("dtype", [FP32, BF16], ids=str)
@pytest.mark.parametrize("form", ["none", "same", "padded"])
@pytest.mark.parametrize("shape", [(7, 32, 31, 33), (5, 192, 9, 11), (3, 2048, 7, 7)], ids=str)
def test_many_partials_and_a_part_of_a_tile(
    shape: tuple[int, int, int, int], form: str, dtype: torch.dtype, norm_cases: Any
) -> None:
    """512, 85 and 64 rows to a partial sum, of 7161, 495 and 147: the last of each is cut short, and odd."""
    case = norm_cases.draw(shape, form, dtype=dtype)
    case.assert_close(norm_act_native, CPU, ROUNDING)


@pytest.mark.parametrize("form", ["none", "same", "padded"])
def test_close_to_plain_torch(form: str, norm_cases: Any) -> None:
    case = norm_cases.draw((4, 32, 6, 6), form)
    found, expected = case.by(norm_act_native, CPU), case.by(norm_act, CPU)
    for name, right in expected.items():
        torch.testing.assert_close(found[name], right, rtol=1e-5, atol=1e-5, msg=name)


def test_no_further_from_float64_than_plain_torch_in_bf16(norm_cases: Any) -> None:
    """On a map as large as CIFAR's: what is rounded once cannot be worse than what is rounded twice."""
    case = norm_cases.draw((32, 16, 32, 32), "same", dtype=BF16)
    exact = case.in_float64()
    found, plain = case.by(norm_act_native, CPU), case.by(norm_act, CPU)
    for name, right in exact.items():
        off, off_plain = (float((other[name].double() - right).norm()) for other in (found, plain))
        assert off <= 1.01 * off_plain, name


def test_statistics_where_the_mean_is_large(norm_cases: Any) -> None:
    """Its square is 10^6 times the variance: in fp32 a difference of sums would be off by a tenth."""
    case = norm_cases.draw((8, 16, 16, 16), offset=1e3)
    found, expected = case.by(norm_act_native, CPU), case.in_float64()
    torch.testing.assert_close(found["running_var"].double(), expected["running_var"], rtol=1e-5, atol=0)
    torch.testing.assert_close(found["running_mean"].double(), expected["running_mean"], rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [FP32, BF16], ids=str)
@pytest.mark.parametrize("form", ["none", "same"])
def test_what_is_no_number_stays_none(form: str, dtype: torch.dtype, norm_cases: Any) -> None:
    """A ReLU that swallowed it would let a net that has diverged train on."""
    case = norm_cases.draw((2, 16, 4, 4), form, dtype=dtype)
    case.y[0, 3, 1, 1] = float("nan")
    case.y[1, 5, 0, 0] = float("inf")
    found, plain = case.by(norm_act_native, CPU), case.by(norm_act, CPU)
    for name in ("z", "dy", "running_mean", "running_var"):
        assert torch.equal(found[name].isnan(), plain[name].isnan()), name
    assert found["z"][:, 3].isnan().all()


@pytest.mark.parametrize("form", ["none", "same", "padded"])
def test_the_same_bits_on_any_number_of_threads(
    form: str, norm_cases: Any, threads: Callable[[int], None]
) -> None:
    case = norm_cases.draw((6, 32, 17, 17), form, dtype=BF16)
    results = []
    for number in (1, 2, 3):
        threads(number)
        results.append(case.by(norm_act_native, CPU))
    assert all(results[0][name].equal(other[name]) for other in results[1:] for name in results[0])


@pytest.mark.parametrize("dtype", [FP32, BF16], ids=str)
def test_the_same_bits_by_narrower_vectors(
    dtype: torch.dtype, norm_cases: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run may go on on another processor."""
    cases = [norm_cases.draw((6, 32, 17, 17), form, dtype=dtype) for form in ("none", "same", "padded")]
    here = [case.by(norm_act_native, CPU) for case in cases]
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\nexec cc "$@" -mno-avx512f\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    compile_native.cache_clear()
    load_norm_native.cache_clear()
    try:
        there = [case.by(norm_act_native, CPU) for case in cases]
    finally:
        load_norm_native.cache_clear()
        compile_native.cache_clear()
    for one, other in zip(here, there, strict=True):
        assert all(one[name].equal(other[name]) for name in one)


@pytest.mark.parametrize("spread", [torch.Size([3, 32, 1, 1]), torch.Size([3, 1, 5, 7])], ids=str)
def test_an_expanded_gradient(spread: torch.Size, norm_cases: Any) -> None:
    """As it comes down from the average pooling: one value for a whole map, with strides of 0."""
    case = norm_cases.draw((3, 32, 5, 7), "same")
    case.dz = torch.randn(spread).expand(3, 32, 5, 7)
    case.assert_close(norm_act_native, CPU, ROUNDING)


def test_only_the_gradients_that_are_wanted(norm_cases: Any) -> None:
    case = norm_cases.draw((3, 32, 5, 7), "padded")
    bn, y, residual = copy.deepcopy(case.bn), case.y, case.residual
    bn.weight.requires_grad_(False)
    z = norm_act_native(bn, y.requires_grad_(), residual, residual_stride=2)
    (dy,) = torch.autograd.grad(z, [y], case.dz)
    torch.testing.assert_close(dy.double(), case.in_float64()["dy"], rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert not norm_act_native(bn, y, residual, residual_stride=2).requires_grad
    assert int(bn.num_batches_tracked) == 2


def test_the_gradient_from_above_is_not_written_to(norm_cases: Any) -> None:
    """It may be another's too: that of a sum goes to both of its terms."""
    for form, relu in itertools.product(["none", "same", "padded"], [True, False]):
        case = norm_cases.draw((2, 32, 4, 4), form, relu=relu)
        before = [case.dz.clone(), case.y.clone()]
        case.by(norm_act_native, CPU)
        assert case.dz.equal(before[0])
        assert case.y.equal(before[1])


def test_falls_back_to_plain_torch(unfit_case: Any, calls: Counter[str]) -> None:
    given = unfit_case.y, unfit_case.residual.to(unfit_case.y.dtype)
    found = norm_act_native(copy.deepcopy(unfit_case.bn), *given)
    assert found.equal(norm_act(unfit_case.bn, *given))
    assert not calls


@pytest.mark.parametrize("channels", [10, 24])
def test_odd_widths_are_plain_torch(channels: int, norm_cases: Any, calls: Counter[str]) -> None:
    case = norm_cases.draw((2, channels, 4, 4), "same")
    found, expected = case.by(norm_act_native, CPU), case.by(norm_act, CPU)
    assert all(found[name].equal(expected[name]) for name in expected)
    assert not calls


@pytest.mark.parametrize("channels", [16, 64])
def test_a_norm_of_another_width_is_refused_as_ever(channels: int, norm_cases: Any) -> None:
    """By its addresses alone the memory behind it would be read, and written to."""
    case = norm_cases.draw((2, 32, 4, 4))
    with pytest.raises(RuntimeError, match=f"contain {channels} elements|contain 32 elements"):
        norm_act_native(nn.BatchNorm2d(channels), case.y)


def test_a_norm_on_another_device_is_refused_as_ever(norm_cases: Any, calls: Counter[str]) -> None:
    case = norm_cases.draw((2, 32, 4, 4))
    case.bn.to("meta")
    with pytest.raises(RuntimeError, match="meta"):
        norm_act_native(case.bn, case.y)
    assert not calls


def test_a_weight_with_gaps_is_read_as_it_is(norm_cases: Any, calls: Counter[str]) -> None:
    case = norm_cases.draw((2, 16, 4, 4))
    case.bn.weight = nn.Parameter(torch.randn(16, 3)[:, 0])
    assert norm_act_native(case.bn, case.y).equal(norm_act(case.bn, case.y))
    assert not calls


def test_torch_s_defaults_change_nothing(norm_cases: Any) -> None:
    case = norm_cases.draw((3, 32, 5, 7), "padded", dtype=BF16)
    expected = case.by(norm_act_native, CPU)
    torch.set_default_dtype(BF16)
    try:
        with torch.device("meta"):
            found = case.by(norm_act_native, CPU)
    finally:
        torch.set_default_dtype(FP32)
    assert all(found[name].equal(expected[name]) for name in expected)


def test_hooks_that_give_saved_tensors_back_in_another_layout(norm_cases: Any, calls: Counter[str]) -> None:
    case = norm_cases.draw((3, 32, 5, 7), "same")
    expected = case.by(norm_act_native, CPU)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: t.detach().clone(memory_format=torch.contiguous_format), lambda t: t
    ):
        found = case.by(norm_act_native, CPU)
    assert all(found[name].equal(expected[name]) for name in expected)
    assert calls["norm_backward"] == 2


def test_values_whose_square_is_too_large(norm_cases: Any) -> None:
    """The sum of a partial, squared, would be too large though the variance is not."""
    case = norm_cases.draw((8, 16, 32, 32), offset=30.0)
    case.y *= 1e15
    case.y[0, :, 0, 0] = 0
    found, plain = case.by(norm_act_native, CPU), case.by(norm_act, CPU)
    for name in ("z", "running_mean", "running_var"):
        assert found[name].isfinite().all()
        torch.testing.assert_close(found[name], plain[name], rtol=1e-4, atol=1e-4, msg=name)


def test_the_variance_beside_an_outlier(norm_cases: Any) -> None:
    case = norm_cases.draw((8, 16, 32, 32))
    case.y[0, :, 0, 0] = 1e3
    found, expected = case.by(norm_act_native, CPU), case.in_float64()
    torch.testing.assert_close(found["running_var"].double(), expected["running_var"], rtol=1e-4, atol=0)


def test_one_value_per_channel_is_refused_as_ever() -> None:
    y = torch.ones(1, 16, 1, 1).contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        norm_act_native(nn.BatchNorm2d(16), y)
