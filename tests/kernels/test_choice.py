"""Choosing, where no kernel can run: this process has plain Triton and, as a rule, no GPU."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch

from rescli.kernels.choice import KernelName, crop_flip_function, self_test, use_kernels
from rescli.kernels.crop.plain import crop_flip_batch
from rescli.kernels.norm.native import norm_act_native
from rescli.kernels.norm.plain import norm_act
from rescli.models.resnet import cifar_resnet


def chosen(net: torch.nn.Module) -> list[Any]:
    return [module.norm_act for module in net.modules() if hasattr(module, "norm_act")]


def test_a_net_calls_plain_torch_unless_told() -> None:
    # The stem, three blocks and two projections.
    assert chosen(cifar_resnet(depth=8, shortcut="B")) == [norm_act] * 6


def test_use_kernels_and_back() -> None:
    norm_triton: Any = pytest.importorskip("rescli.kernels.norm.triton", exc_type=ImportError)
    net = cifar_resnet(depth=8, shortcut="B")
    names = list(net.state_dict())
    use_kernels(net, "triton")
    assert chosen(net) == [norm_triton.norm_act_triton] * 6
    assert list(net.state_dict()) == names
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert chosen(other) == [norm_triton.norm_act_triton] * 6
    images = torch.randn(2, 3, 8, 8)
    # On the CPU the kernels' function is plain torch.
    assert net(images).equal(cifar_resnet(depth=8, shortcut="B")(images))
    use_kernels(net, "native")
    assert chosen(net) == [norm_act_native] * 6
    assert chosen(pickle.loads(pickle.dumps(net))) == [norm_act_native] * 6
    use_kernels(net, "plain")
    assert chosen(net) == [norm_act] * 6
    assert not any("norm_act" in vars(module) for module in net.modules())


@pytest.mark.parametrize("kernels", ["triton", "native", "plain"])
def test_another_module_s_attribute_of_that_name_is_left_alone(kernels: KernelName) -> None:
    pytest.importorskip("triton")

    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm_act = abs

    class Child(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm_act = torch.nn.ReLU()

    net = torch.nn.Sequential(Own(), Child(), cifar_resnet(depth=8))
    use_kernels(net, kernels)
    assert net[0].norm_act is abs
    assert isinstance(net[1].norm_act, torch.nn.ReLU)
    assert (net[2].norm_act is norm_act) == (kernels == "plain")


def test_crop_flip_function() -> None:
    crop_triton: Any = pytest.importorskip("rescli.kernels.crop.triton", exc_type=ImportError)
    assert crop_flip_function("plain") is crop_flip_function("native") is crop_flip_batch
    assert crop_flip_function("triton") is crop_triton.crop_flip_batch_triton


def test_self_test_on_the_cpu_says_where_kernels_run() -> None:
    pytest.importorskip("triton")
    assert self_test("triton", "cpu") == "the kernels run on cuda, not on cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_self_test_without_a_gpu_gives_the_driver_s_reason_and_does_not_raise() -> None:
    pytest.importorskip("triton")
    reason = self_test("triton", "cuda")
    assert reason is not None
    assert "\n" not in reason


def test_self_test_leaves_torch_s_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    self_test("triton", "cuda")
    self_test("native", "cpu")
    assert torch.get_rng_state().equal(before)


WITHOUT_TRITON = """
import sys
sys.modules["triton"] = None  # importing it raises ImportError
from rescli.kernels.choice import crop_flip_function, self_test, use_kernels
from rescli.models.resnet import cifar_resnet
net = cifar_resnet(depth=8)
use_kernels(net, "plain")
crop_flip_function("plain")
for ask in (lambda: use_kernels(net, "triton"), lambda: crop_flip_function("triton")):
    try:
        ask()
    except RuntimeError as error:
        print(error)
print(self_test("triton", "cuda"))
"""


def test_without_triton() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_TRITON], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["Triton is not installed"] * 3
