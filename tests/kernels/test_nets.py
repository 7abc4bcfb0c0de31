"""Whole nets with the kernels and without. In the interpreter or on CUDA."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from rescli.kernels.choice import self_test, use_kernels
from rescli.models.blocks import BottleneckBlock
from rescli.models.resnet import ResNet, cifar_resnet

norm_triton: Any = pytest.importorskip("rescli.kernels.norm.triton", exc_type=ImportError)
if not norm_triton.INTERPRETED and not torch.cuda.is_available():
    pytest.skip("no CUDA device; test_interpreter.py runs these", allow_module_level=True)
pytestmark = pytest.mark.gpu


def step(net: nn.Module, images: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    """Logits, gradients and statistics of one training step."""
    labels = torch.arange(len(images), device=images.device)
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
        logits = net(images)
    F.cross_entropy(logits, labels).backward()
    gradients = {f"d{name}": p.grad for name, p in net.named_parameters() if p.grad is not None}
    return {"logits": logits.detach(), **gradients, **dict(net.named_buffers())}


def nets(kind: str, device: torch.device) -> tuple[ResNet, ResNet, Tensor]:
    """(plain, with kernels, images)."""
    bottleneck = {"block": BottleneckBlock, "expansion": 4, "depth": 11, "convs_per_block": 3, "width": 4}
    options: dict[str, Any] = {
        "A": {"depth": 8, "shortcut": "A"},
        "B": {"depth": 8, "shortcut": "B"},
        "plain": {"depth": 8, "shortcut": None},
        "bottleneck": {**bottleneck, "shortcut": "A"},
    }[kind]
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    plain = cifar_resnet(**options).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    own = copy.deepcopy(plain)
    use_kernels(own, "triton")
    return plain, own, images.to(device).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["A", "B", "plain", "bottleneck"])
def test_a_step_in_fp32(kind: str, device: torch.device, launches: Counter[str]) -> None:
    plain, own, images = nets(kind, device)
    expected = step(plain, images, torch.float32)
    assert not launches
    found = step(own, images, torch.float32)
    num_norms = sum(isinstance(module, nn.BatchNorm2d) for module in own.modules())
    assert num_norms == {"A": 7, "B": 9, "plain": 7, "bottleneck": 10}[kind]
    names = ("partial_statistics", "normalize", "gradient_sums", "input_gradient")
    assert launches == dict.fromkeys(names, num_norms)
    assert found.keys() == expected.keys()
    for name, right in expected.items():
        scale = float(right.double().abs().max())
        torch.testing.assert_close(found[name], right, rtol=0, atol=1e-4 * scale, msg=name)


def test_a_step_in_bf16(device: torch.device, launches: Counter[str]) -> None:
    plain, own, images = nets("A", device)
    exact = step(copy.deepcopy(plain), images, torch.float32)["logits"]
    expected, found = (step(net, images, torch.bfloat16)["logits"] for net in (plain, own))
    assert launches.total() == 4 * 7
    # As far from fp32 as plain torch in bf16 is, or nearer.
    assert float((found - exact).norm()) < 1.5 * float((expected - exact).norm())


def test_evaluation_is_plain_torch(device: torch.device, launches: Counter[str]) -> None:
    plain, own, images = nets("A", device)
    assert own.eval()(images).equal(plain.eval()(images))
    assert not launches


def test_hooks_on_a_batch_norm_fire(device: torch.device, launches: Counter[str]) -> None:
    _, own, images = nets("A", device)
    seen: list[Tensor] = []
    handle = own.layer2.get_submodule("0.bn2").register_forward_hook(lambda *args: seen.append(args[2]))
    own(images)
    assert len(seen) == 1
    assert launches == {"partial_statistics": 6, "normalize": 6}
    handle.remove()
    own(images)
    assert launches["normalize"] == 13


class _Work(TorchDispatchMode):
    """Counts operations that run something on the device: neither views nor allocations."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        allocates = func.name().startswith(("aten::empty", "aten::new_empty"))
        self.count += not (func.is_view or allocates)
        return func(*args, **(kwargs or {}))


def test_work_of_a_step_of_resnet_20(device: torch.device, launches: Counter[str]) -> None:
    """4 kernels for each of 19 batch norms with what follows; of torch's: a convolution and its gradient
    each 19, 9 forks of a gradient, and 15 of the head, the loss and one copy of the expanded gradient."""
    net = cifar_resnet(depth=20).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    use_kernels(net, "triton")
    images = torch.randn(2, 3, 8, 8, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.tensor([1, 2], device=device)
    with _Work() as work:
        F.cross_entropy(net(images), labels).backward()
    assert launches.total() == 4 * 19
    assert work.count <= 2 * 19 + 9 + 15


def test_self_test_passes(device: torch.device) -> None:
    assert self_test("triton", device) is None


def test_self_test_finds_a_wrong_kernel(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    right = norm_triton.norm_act_triton
    monkeypatch.setattr(norm_triton, "norm_act_triton", lambda *args, **given: right(*args, **given) * 1.01)
    reason = self_test("triton", device, [torch.float32])
    assert reason is not None
    assert "norm_act in float32 differs from plain torch by 1.0e-02 in output" in reason


def test_self_test_finds_a_wrong_crop(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    from rescli.kernels.crop import triton as crop_triton

    right = crop_triton.crop_flip_batch_triton
    monkeypatch.setattr(
        crop_triton,
        "crop_flip_batch_triton",
        lambda *args, key, flip: right(*args, key=key + 1, flip=flip),
    )
    reason = self_test("triton", device, [])
    assert reason is not None
    assert "crop_flip_batch differs from plain torch in" in reason
