"""What a training step costs the host, counted in operations: a guard that needs no GPU."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from rescli.models.resnet import cifar_resnet
from rescli.optim.sgd import sgd
from rescli.training.precision import Numerics
from rescli.training.step import train_step


class Operations(TorchDispatchMode):
    """Counts the operations inside the ``with`` block that are not mere views."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view:
            self.counts[func.name().removeprefix("aten::")] += 1
        return func(*args, **(kwargs or {}))


def operations_of_a_step(depth: int, precision: str) -> tuple[Counter[str], int]:
    """Of the second step, and the net's number of convolutions."""
    net = cifar_resnet(depth=depth).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = sgd(net, lr=0.1, momentum=0.9, nesterov=False, weight_decay=1e-4, decay_weights_only=False)
    images = torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    numerics = Numerics(torch.device("cpu"), precision)
    for _ in range(2):
        with Operations() as operations:
            train_step(net, optimizer, images, torch.tensor([1, 2]), numerics=numerics)
    return operations.counts, sum(isinstance(module, nn.Conv2d) for module in net.modules())


@pytest.mark.parametrize("depth", [8, 20])
@pytest.mark.parametrize(("precision", "each", "rest"), [("fp32", 9, 24), ("bf16", 11, 26)])
def test_plain_torch(precision: str, each: int, rest: int, depth: int) -> None:
    """Per convolution: itself, its batch norm with an allocation and a counter, and ReLU, 5; backward 3;
    half a residual's addition and half a fork of its gradient; in bf16 a cast of its weight each way."""
    counts, convs = operations_of_a_step(depth, precision)
    assert counts["convolution"] == convs == depth - 1
    assert counts.total() <= each * convs + rest
    assert "_local_scalar_dense" not in counts  # nothing waits for the device
