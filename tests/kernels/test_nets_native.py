"""Whole nets with the compiled norm_act and without, and its test at the start of a run."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rescli.kernels.c_compiler import NoCompiler
from rescli.kernels.choice import KernelName, self_test, use_kernels
from rescli.kernels.conv.choice import TORCH, choose_convolutions
from rescli.kernels.norm.native import load_norm_native
from rescli.kernels.norm.plain import norm_act
from rescli.models.blocks import BottleneckBlock
from rescli.models.resnet import cifar_resnet

try:
    load_norm_native(torch.float32)
except NoCompiler as error:
    pytest.skip(str(error), allow_module_level=True)

CPU = torch.device("cpu")
FP32, BF16 = torch.float32, torch.bfloat16


def step(net: nn.Module, images: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    """Logits, gradients and statistics of one training step."""
    with torch.autocast("cpu", dtype=BF16, enabled=dtype is BF16):
        logits = net(images)
    F.cross_entropy(logits, torch.arange(len(images)) % 10).backward()
    gradients = {f"d{name}": p.grad for name, p in net.named_parameters() if p.grad is not None}
    return {"logits": logits.detach(), **gradients, **dict(net.named_buffers())}


def net_of(kind: str, kernels: KernelName) -> nn.Module:
    bottleneck = {"block": BottleneckBlock, "expansion": 4, "depth": 11, "convs_per_block": 3}
    options: dict[str, Any] = {"depth": 8, "shortcut": None if kind == "plain" else kind}
    if kind == "bottleneck":
        options = {**bottleneck, "shortcut": "B"}
    net = cifar_resnet(**options).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    use_kernels(net, kernels)
    return net


def images_of(count: int) -> Tensor:
    images = torch.randn(count, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    return images.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["A", "B", "plain", "bottleneck"])
def test_a_step_of_a_net_in_fp32(kind: str, calls: Counter[str]) -> None:
    images = images_of(8)
    expected = step(net_of(kind, "plain"), images, FP32)
    assert not calls
    own = net_of(kind, "native")
    found = step(own, images, FP32)
    num_norms = sum(isinstance(module, nn.BatchNorm2d) for module in own.modules())
    assert calls == {"norm_forward": num_norms, "norm_backward": num_norms}
    assert found.keys() == expected.keys()
    for name, right in expected.items():
        scale = float(right.double().abs().max())
        torch.testing.assert_close(found[name], right, rtol=0, atol=1e-4 * scale, msg=name)


def test_a_step_of_a_net_in_bf16(calls: Counter[str]) -> None:
    images = images_of(64)
    exact = step(net_of("A", "plain"), images, FP32)["logits"]
    expected, found = (step(net_of("A", name), images, BF16)["logits"] for name in ("plain", "native"))
    assert calls.total() == 2 * 7
    # As far from fp32 as plain torch in bf16 is, or nearer.
    assert float((found - exact).norm()) < 1.1 * float((expected - exact).norm())


def test_50_steps_in_fp32_stay_near_float64() -> None:
    """Near at first, and not far afterwards: sooner or later a rounding decides what a ReLU lets through,
    and from then on plain torch itself, in one thread and in two, is up to 1e-2 off.
    """

    def losses(kernels: KernelName, dtype: torch.dtype = FP32) -> Tensor:
        net = cifar_resnet(depth=8).to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        use_kernels(net, kernels, TORCH if kernels == "plain" else choose_convolutions(FP32))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
        random = torch.Generator().manual_seed(2)
        found = []
        for _ in range(50):
            labels = torch.randint(0, 10, (8,), generator=random)
            images = torch.randn((8, 3, 16, 16), generator=random) + labels.view(-1, 1, 1, 1) / 5
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images.to(dtype=dtype, memory_format=torch.channels_last)), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            found.append(loss.detach().double())
        return torch.stack(found)

    exact, native = losses("plain", torch.float64), losses("native")
    assert exact[-10:].mean() < 0.8 * exact[:10].mean()  # it learns
    off = (native - exact).abs()
    assert off[:10].median() < 1e-5  # a gradient that is 1e-3 too large: 4e-3
    assert off.norm() < 0.3


def test_evaluation_is_plain_torch(calls: Counter[str]) -> None:
    images = images_of(2)
    assert net_of("A", "native").eval()(images).equal(net_of("A", "plain").eval()(images))
    assert not calls


def test_self_test_passes() -> None:
    assert self_test("native", CPU) is None


def test_self_test_finds_wrong_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from rescli.kernels import choice

    monkeypatch.setattr(choice, "norm_act_native", lambda *args, **given: norm_act(*args, **given) * 1.01)
    reason = self_test("native", CPU, [FP32])
    assert reason == "norm_act in float32 differs from plain torch by 1.0e-02 in output (shortcut: none)"
