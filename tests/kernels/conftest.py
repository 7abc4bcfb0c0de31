"""Where the kernels' tests run: on CUDA, or without any GPU in Triton's interpreter.

The interpreter must be chosen before Triton is first imported and would change what other tests import,
so it has a process of its own: test_interpreter.py starts it.
"""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes


@pytest.fixture(scope="session")
def device() -> torch.device:
    """On which the kernels run in this process; their modules are skipped where they run on none."""
    return torch.device("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda")


@pytest.fixture
def threads() -> Iterator[None]:
    """What a test makes of the number of threads ends with it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class _Counted:
    """A kernel that notes its launches."""

    def __init__(self, name: str, kernel: Any, launched: Counter[str]) -> None:
        self.name, self.kernel, self.launched = name, kernel, launched

    def __getitem__(self, grid: Any) -> Any:
        def launch(*args: Any, **options: Any) -> None:
            self.launched[self.name] += 1
            # What the interpreter itself does with torch is not a test's business.
            with _disable_current_modes():
                self.kernel[grid](*args, **options)

        return launch


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each kernel has been launched."""
    from rescli.kernels.crop import triton_code as crop_kernels
    from rescli.kernels.norm import triton_code as norm_kernels

    launched: Counter[str] = Counter()
    for module in (crop_kernels, norm_kernels):
        for name in module.__all__:
            monkeypatch.setattr(module, name, _Counted(name, getattr(module, name), launched))
    return launched


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each of the two compiled functions has been called."""
    from rescli.kernels.norm import native as norm_native

    load = norm_native.load_norm_native
    called: Counter[str] = Counter()

    class Counting:
        def __init__(self, dtype: torch.dtype) -> None:
            self.library = load(dtype)

        def __getattr__(self, name: str) -> Any:
            called[name] += 1
            return getattr(self.library, name)

    monkeypatch.setattr(norm_native, "load_norm_native", Counting)
    return called


@dataclass
class NormCase:
    """Maps of one call of norm_act and the gradient from above, on the CPU, as the type can hold them."""

    bn: nn.BatchNorm2d
    y: Tensor
    residual: Tensor | None
    stride: int
    dz: Tensor
    relu: bool

    @classmethod
    def draw(
        cls,
        shape: tuple[int, int, int, int],
        form: str = "none",
        *,
        dtype: torch.dtype = torch.float32,
        relu: bool = True,
        offset: float = 0.5,
    ) -> NormCase:
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
            residual = draw(images, channels - (16 if channels > 16 else 3), height, width)
        bn = nn.BatchNorm2d(channels)
        with torch.no_grad():
            bn.weight.uniform_(-1.5, 1.5, generator=random)
            bn.bias.normal_(0, 0.5, generator=random)
            assert bn.running_mean is not None
            assert bn.running_var is not None
            bn.running_mean.normal_(generator=random)
            bn.running_var.uniform_(0.5, 2, generator=random)
        return cls(bn, y, residual, stride, dz, relu)

    def in_float64(self) -> dict[str, Tensor]:
        """The definition (Ioffe and Szegedy 2015, algorithm 1) and its gradient, by autograd."""
        bn = self.bn
        assert bn.running_mean is not None
        assert bn.running_var is not None
        assert bn.momentum is not None
        leaves = {"y": self.y, "weight": bn.weight, "bias": bn.bias}
        if self.residual is not None:
            leaves["residual"] = self.residual
        leaves = {name: leaf.detach().double().requires_grad_() for name, leaf in leaves.items()}
        y = leaves["y"]
        count = y.numel() // y.shape[1]
        mean = y.mean((0, 2, 3), keepdim=True)
        deviation = y - mean
        var = deviation.square().sum((0, 2, 3), keepdim=True) / count
        affine = leaves["weight"].view(1, -1, 1, 1), leaves["bias"].view(1, -1, 1, 1)
        before = deviation / (var + bn.eps).sqrt() * affine[0] + affine[1]
        if self.residual is not None:
            given = leaves["residual"][:, :, :: self.stride, :: self.stride]
            behind = before.new_zeros(before.shape[0], before.shape[1] - given.shape[1], *before.shape[2:])
            before = before + torch.cat([given, behind], 1)
        z = before * (before > 0) if self.relu else before
        gradients = torch.autograd.grad(z, list(leaves.values()), self.dz.double())
        return {
            "z": z.detach(),
            "running_mean": torch.lerp(bn.running_mean.double(), mean.detach().flatten(), bn.momentum),
            "running_var": torch.lerp(
                bn.running_var.double(), var.detach().flatten() * count / (count - 1), bn.momentum
            ),
            "num_batches_tracked": torch.tensor(1),
            **{f"d{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)},
        }

    def by(self, function: Callable[..., Tensor], device: torch.device) -> dict[str, Tensor]:
        """The same figures of a function on the device."""
        bn = copy.deepcopy(self.bn).to(device)
        maps = {"y": self.y} if self.residual is None else {"y": self.y, "residual": self.residual}
        leaves = {name: leaf.to(device).requires_grad_() for name, leaf in maps.items()}
        z = function(bn, *leaves.values(), residual_stride=self.stride, relu=self.relu)
        leaves |= {"weight": bn.weight, "bias": bn.bias}
        gradients = torch.autograd.grad(z, list(leaves.values()), self.dz.to(device))
        for map_ in (z, *gradients[: len(maps)]):
            assert map_.is_contiguous(memory_format=torch.channels_last)
            assert map_.dtype == self.y.dtype
        figures = {"z": z.detach(), **dict(bn.named_buffers())}
        figures |= {f"d{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
        return {name: figure.cpu() for name, figure in figures.items()}

    def assert_close(
        self, function: Callable[..., Tensor], device: torch.device, rounding: dict[torch.dtype, float]
    ) -> None:
        """Maps are off by one rounding of their type, and fp32's in the sums; all else by fp32's alone."""
        found, expected = self.by(function, device), self.in_float64()
        assert found.keys() == expected.keys()
        for name, right in expected.items():
            dtype = self.y.dtype if name in ("z", "dy", "dresidual") else torch.float32
            torch.testing.assert_close(
                found[name].double(),
                right.double(),
                rtol=rounding[dtype],
                atol=2e-6 * float(right.abs().max()),
                msg=lambda m, n=name: f"{n}: {m}",
            )


@pytest.fixture(scope="session")
def norm_cases() -> type[NormCase]:
    return NormCase


def _evaluates(case: NormCase) -> None:
    case.bn.eval()


def _averages_all_batches(case: NormCase) -> None:
    case.bn.momentum = None


def _has_no_weight(case: NormCase) -> None:
    case.bn = nn.BatchNorm2d(16, affine=False)


def _tracks_nothing(case: NormCase) -> None:
    case.bn = nn.BatchNorm2d(16, track_running_stats=False)


def _is_not_channels_last(case: NormCase) -> None:
    case.y = case.y.contiguous()


def _has_a_shortcut_that_is_not_channels_last(case: NormCase) -> None:
    assert case.residual is not None
    case.residual = case.residual.contiguous()


def _is_folded(case: NormCase) -> None:
    case.bn = nn.Identity()  # type: ignore[assignment]


def _is_watched(case: NormCase) -> None:
    case.bn.register_forward_hook(lambda *_: None)


def _is_float64(case: NormCase) -> None:
    case.bn.double()
    case.y = case.y.double()


def _has_no_bias(case: NormCase) -> None:
    case.bn.bias = None  # type: ignore[assignment]


def _counts_no_batches(case: NormCase) -> None:
    case.bn.num_batches_tracked = None


def _is_a_view_of_flipped_signs(case: NormCase) -> None:
    case.y = torch._neg_view(case.y)


@pytest.fixture(
    params=[
        _evaluates,
        _averages_all_batches,
        _has_no_weight,
        _tracks_nothing,
        _is_not_channels_last,
        _has_a_shortcut_that_is_not_channels_last,
        _is_folded,
        _is_watched,
        _is_float64,
        _has_no_bias,
        _counts_no_batches,
        _is_a_view_of_flipped_signs,
    ]
)
def unfit_case(request: pytest.FixtureRequest) -> NormCase:
    """What no kernel takes: plain torch must."""
    case = NormCase.draw((2, 16, 4, 4), "same")
    request.param(case)
    return case
