"""The batch-norm kernels against formulas in float64. In the interpreter or on CUDA."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rescli.kernels.launch import NormLaunch, norm_launch
from rescli.kernels.norm import norm_act

norm_triton: Any = pytest.importorskip("rescli.kernels.norm_triton", exc_type=ImportError)
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


@dataclass
class Case:
    """Maps of one call and the gradient from above, on the CPU, of the values that the type can hold."""

    bn: nn.BatchNorm2d
    y: Tensor
    residual: Tensor | None
    stride: int
    dz: Tensor
    relu: bool


def make(
    shape: tuple[int, int, int, int],
    form: str = "none",
    *,
    dtype: torch.dtype = FP32,
    relu: bool = True,
    offset: float = 0.5,
) -> Case:
    random = torch.Generator().manual_seed(0)

    def draw(*size: int, add: float = 0.0) -> Tensor:
        values = torch.randn(size, generator=random) + add
        return values.to(dtype).contiguous(memory_format=torch.channels_last)

    images, channels, height, width = shape
    y, dz = draw(*shape, add=offset), draw(*shape)
    residual, stride = None, 1
    if form == "same":
        residual = draw(*shape)
    if form == "padded":
        residual, stride = draw(images, channels // 2, 2 * height - 1, 2 * width), 2
    if form == "padded-stride-1":
        residual = draw(images, channels - 3, height, width)
    bn = nn.BatchNorm2d(channels)
    with torch.no_grad():
        bn.weight.uniform_(-1.5, 1.5, generator=random)
        bn.bias.normal_(0, 0.5, generator=random)
        assert bn.running_mean is not None
        assert bn.running_var is not None
        bn.running_mean.normal_(generator=random)
        bn.running_var.uniform_(0.5, 2, generator=random)
    return Case(bn, y, residual, stride, dz, relu)


def in_float64(case: Case) -> dict[str, Tensor]:
    """The definition (Ioffe and Szegedy 2015, algorithm 1) and its gradient, by autograd."""
    bn = case.bn
    assert bn.running_mean is not None
    assert bn.running_var is not None
    assert bn.momentum is not None
    leaves = {"y": case.y, "weight": bn.weight, "bias": bn.bias}
    if case.residual is not None:
        leaves["residual"] = case.residual
    leaves = {name: leaf.detach().double().requires_grad_() for name, leaf in leaves.items()}
    y = leaves["y"]
    count = y.numel() // y.shape[1]
    mean = y.mean((0, 2, 3), keepdim=True)
    deviation = y - mean
    var = deviation.square().sum((0, 2, 3), keepdim=True) / count
    affine = leaves["weight"].view(1, -1, 1, 1), leaves["bias"].view(1, -1, 1, 1)
    before = deviation / (var + bn.eps).sqrt() * affine[0] + affine[1]
    if case.residual is not None:
        given = leaves["residual"][:, :, :: case.stride, :: case.stride]
        behind = before.new_zeros(before.shape[0], before.shape[1] - given.shape[1], *before.shape[2:])
        before = before + torch.cat([given, behind], 1)
    z = before * (before > 0) if case.relu else before
    gradients = torch.autograd.grad(z, list(leaves.values()), case.dz.double())
    return {
        "z": z.detach(),
        "running_mean": torch.lerp(bn.running_mean.double(), mean.detach().flatten(), bn.momentum),
        "running_var": torch.lerp(
            bn.running_var.double(), var.detach().flatten() * count / (count - 1), bn.momentum
        ),
        "num_batches_tracked": torch.tensor(1),
        **{f"d{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)},
    }


def by(function: Callable[..., Tensor], case: Case, device: torch.device) -> dict[str, Tensor]:
    """The same figures of a function on the device."""
    bn = copy.deepcopy(case.bn).to(device)
    maps = {"y": case.y} if case.residual is None else {"y": case.y, "residual": case.residual}
    leaves = {name: leaf.to(device).requires_grad_() for name, leaf in maps.items()}
    z = function(bn, *leaves.values(), residual_stride=case.stride, relu=case.relu)
    leaves |= {"weight": bn.weight, "bias": bn.bias}
    gradients = torch.autograd.grad(z, list(leaves.values()), case.dz.to(device))
    for map_ in (z, *gradients[: len(maps)]):
        assert map_.is_contiguous(memory_format=torch.channels_last)
        assert map_.dtype == case.y.dtype
    figures = {"z": z.detach(), **dict(bn.named_buffers())}
    figures |= {f"d{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    return {name: figure.cpu() for name, figure in figures.items()}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Maps are off by one rounding of their type, and fp32's in the sums; all else by fp32's alone."""
    assert found.keys() == expected.keys()
    for name, right in expected.items():
        scale = float(right.abs().max())
        rounding = ROUNDING[dtype] if name in ("z", "dy", "dresidual") else ROUNDING[FP32]
        torch.testing.assert_close(
            found[name].double(),
            right.double(),
            rtol=rounding,
            atol=2e-6 * scale,
            msg=lambda m, n=name: f"{n}: {m}",
        )


FORMS = ["none", "same", "padded", "padded-stride-1"]


@pytest.mark.parametrize(
    ("dtype", "relu"), [(FP32, True), (FP32, False), (BF16, True), (FP16, True)], ids=str
)
@pytest.mark.parametrize("form", FORMS)
def test_equals_float64(
    form: str, dtype: torch.dtype, relu: bool, device: torch.device, launches: Counter[str]
) -> None:
    case = make((3, 10, 5, 7), form, dtype=dtype, relu=relu)
    assert_close(by(norm_triton.norm_act_triton, case, device), in_float64(case), dtype)
    names = ("partial_statistics", "normalize", "gradient_sums", "input_gradient")
    assert launches == dict.fromkeys(names, 1)


@pytest.mark.parametrize(
    ("form", "dtype"), [("none", FP32), ("same", FP32), ("padded", FP32), ("padded", BF16)], ids=str
)
def test_many_programs_and_a_part_of_a_tile(
    form: str, dtype: torch.dtype, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(norm_triton, "norm_launch", small_tiles)
    # 98 rows: 3 programs of 3 tiles, the last with 2 rows; 20 channels: two blocks, the last a quarter full.
    case = make((2, 20, 7, 7), form, dtype=dtype)
    assert_close(by(norm_triton.norm_act_triton, case, device), in_float64(case), dtype)


def test_large_blocks(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """As maps that do not fit the cache are cut."""
    monkeypatch.setattr(norm_triton, "norm_launch", _large)
    case = make((2, 48, 9, 9), "same")
    assert_close(by(norm_triton.norm_act_triton, case, device), in_float64(case), FP32)


def _large(num_rows: int, num_channels: int) -> NormLaunch:
    large = norm_launch(1 << 20, num_channels)
    assert (large.block_rows, large.block_channels) == (64, 64)
    tiles = -(-num_rows // 64)
    return NormLaunch(64, 64, large.num_warps, tiles, 64, tiles, 64, -(-num_channels // 64))


@pytest.mark.parametrize("form", ["none", "same"])
def test_close_to_plain_torch(form: str, device: torch.device) -> None:
    case = make((4, 16, 6, 6), form)
    found, expected = by(norm_triton.norm_act_triton, case, device), by(norm_act, case, device)
    for name, right in expected.items():
        torch.testing.assert_close(found[name], right, rtol=1e-5, atol=1e-5, msg=name)


def test_statistics_where_the_mean_is_large(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its square is 10^6 times the variance: in fp32 a difference of sums would be off by a tenth."""
    monkeypatch.setattr(norm_triton, "norm_launch", small_tiles)
    case = make((2, 16, 9, 9), offset=1e3)
    found, expected = by(norm_triton.norm_act_triton, case, device), in_float64(case)
    torch.testing.assert_close(found["running_var"].double(), expected["running_var"], rtol=1e-5, atol=0)
    torch.testing.assert_close(found["running_mean"].double(), expected["running_mean"], rtol=1e-6, atol=0)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # numpy's, in the interpreter
@pytest.mark.parametrize("form", ["none", "same"])
def test_what_is_no_number_stays_none(form: str, device: torch.device) -> None:
    """A ReLU that swallowed it would let a net that has diverged train on."""
    case = make((2, 16, 4, 4), form)
    case.y[0, 3, 1, 1] = float("nan")
    case.y[1, 5, 0, 0] = float("inf")
    found, plain = by(norm_triton.norm_act_triton, case, device), by(norm_act, case, device)
    for name in ("z", "dy", "running_mean", "running_var"):
        assert torch.equal(found[name].isnan(), plain[name].isnan()), name
    assert found["z"][:, 3].isnan().all()


def test_twice_the_same_bits(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norm_triton, "norm_launch", small_tiles)
    case = make((2, 10, 7, 7), "padded", dtype=BF16)
    first, second = (by(norm_triton.norm_act_triton, case, device) for _ in range(2))
    assert all(first[name].equal(second[name]) for name in first)


def test_an_expanded_gradient(device: torch.device) -> None:
    """As it comes down from the average pooling: one value for a whole map, with strides of 0."""
    case = make((3, 10, 5, 7), "same")
    case.dz = torch.randn(3, 10, 1, 1).expand(3, 10, 5, 7)
    assert_close(by(norm_triton.norm_act_triton, case, device), in_float64(case), FP32)


def test_only_the_gradients_that_are_wanted(device: torch.device) -> None:
    case = make((3, 10, 5, 7), "padded")
    assert case.residual is not None
    bn, y, residual = copy.deepcopy(case.bn).to(device), case.y.to(device), case.residual.to(device)
    bn.weight.requires_grad_(False)
    z = norm_triton.norm_act_triton(bn, y.requires_grad_(), residual, residual_stride=2)
    (dy,) = torch.autograd.grad(z, [y], case.dz.to(device))
    torch.testing.assert_close(dy.cpu().double(), in_float64(case)["dy"], rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert not norm_triton.norm_act_triton(bn, y, residual, residual_stride=2).requires_grad
    assert int(bn.num_batches_tracked) == 2


def _evaluates(case: Case) -> None:
    case.bn.eval()


def _averages_all_batches(case: Case) -> None:
    case.bn.momentum = None


def _has_no_weight(case: Case) -> None:
    case.bn = nn.BatchNorm2d(16, affine=False)


def _tracks_nothing(case: Case) -> None:
    case.bn = nn.BatchNorm2d(16, track_running_stats=False)


def _is_not_channels_last(case: Case) -> None:
    case.y = case.y.contiguous()


def _has_a_shortcut_that_is_not_channels_last(case: Case) -> None:
    assert case.residual is not None
    case.residual = case.residual.contiguous()


def _is_folded(case: Case) -> None:
    case.bn = nn.Identity()  # type: ignore[assignment]


def _is_watched(case: Case) -> None:
    case.bn.register_forward_hook(lambda *_: None)


def _is_float64(case: Case) -> None:
    case.bn.double()
    case.y = case.y.double()


@pytest.mark.parametrize(
    "change",
    [
        _evaluates,
        _averages_all_batches,
        _has_no_weight,
        _tracks_nothing,
        _is_not_channels_last,
        _has_a_shortcut_that_is_not_channels_last,
        _is_folded,
        _is_watched,
        _is_float64,
    ],
)
def test_falls_back_to_plain_torch(
    change: Callable[[Case], None], device: torch.device, launches: Counter[str]
) -> None:
    case = make((2, 16, 4, 4), "same")
    change(case)
    assert case.residual is not None
    given = case.y.to(device), case.residual.to(device, case.y.dtype)
    found = norm_triton.norm_act_triton(copy.deepcopy(case.bn).to(device), *given)
    assert found.equal(norm_act(case.bn.to(device), *given))
    assert not launches


def test_one_value_per_channel_is_refused_as_ever(device: torch.device) -> None:
    y = torch.ones(1, 4, 1, 1, device=device).contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        norm_triton.norm_act_triton(nn.BatchNorm2d(4).to(device), y)


def test_a_replayed_graph_gives_the_same_bits(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("CUDA graphs need CUDA")
    case = make((4, 16, 8, 8), "same", dtype=BF16)
    expected = by(norm_triton.norm_act_triton, case, device)
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
