"""He initialisation, drawn parameter by parameter."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from rescli.models.init import initialise, parameter_seed
from rescli.models.resnet import ResNet, cifar_resnet, imagenet_resnet


def _common(first: nn.Module, second: nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    a, b = first.state_dict(), second.state_dict()
    return [(a[name], b[name]) for name in a.keys() & b.keys()]


def test_parameter_seed_never_changes() -> None:
    # Pinned: a changed hash would silently unpair every experiment already run.
    assert parameter_seed(0, "conv1.weight") == 0x3A29FBEDB971CAB4
    assert 0 <= parameter_seed(2**63 - 1, "fc.weight") < 2**63


def test_plain_and_options_share_every_common_tensor() -> None:
    nets = [cifar_resnet(depth=20, shortcut=option, seed=3) for option in (None, "A", "B", "C")]
    plain_names = nets[0].state_dict().keys()
    for first, second in pairwise(nets):
        pairs = _common(first, second)
        assert len(pairs) == len(first.state_dict()) >= len(plain_names)
        assert all(torch.equal(a, b) for a, b in pairs)
    assert plain_names == nets[1].state_dict().keys()


def test_options_share_tensors_on_imagenet_too() -> None:
    nets = [imagenet_resnet(depth=18, width=16, shortcut=option, seed=3) for option in (None, "B")]
    pairs = _common(*nets)
    assert len(pairs) == len(nets[0].state_dict())
    assert all(torch.equal(a, b) for a, b in pairs)


def test_seed_decides() -> None:
    first, same, other = (cifar_resnet(depth=8, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in _common(first, same))
    weights = [name for name, p in first.named_parameters() if p.dim() > 1]
    for name in weights:
        assert not torch.equal(first.get_parameter(name), other.get_parameter(name)), name


def test_tensors_of_equal_shape_differ() -> None:
    net = cifar_resnet(depth=14)
    assert not torch.equal(
        net.get_parameter("layer1.0.conv1.weight"), net.get_parameter("layer1.1.conv1.weight")
    )


def test_global_random_state_neither_matters_nor_changes() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = cifar_resnet(depth=8)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert all(torch.equal(a, b) for a, b in _common(first, cifar_resnet(depth=8)))


@pytest.mark.parametrize("fan", ["in", "out"])
def test_standard_deviations(fan: Any) -> None:
    net: ResNet = imagenet_resnet(depth=18, seed=0, init_fan=fan)
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            channels = module.in_channels if fan == "in" else module.out_channels
            expected = math.sqrt(2 / (module.kernel_size[0] ** 2 * channels))
        elif isinstance(module, nn.Linear):
            expected = math.sqrt(2 / module.in_features)
        elif isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()
            assert module.get_buffer("running_mean").eq(0).all()
            assert module.get_buffer("running_var").eq(1).all()
            continue
        else:
            continue
        weight = module.weight.detach()
        # The sample standard deviation of m normal draws has relative error 1/sqrt(2m); six of them.
        tolerance = 6 / math.sqrt(2 * weight.numel())
        assert weight.std().item() == pytest.approx(expected, rel=tolerance), name
        assert abs(weight.mean().item()) < 6 * expected / math.sqrt(weight.numel()), name
    assert net.fc.bias.eq(0).all()


def test_dtype_does_not_change_the_draw() -> None:
    single, double = nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Sequential(nn.Conv2d(3, 4, 3).double())
    for net in (single, double):
        initialise(net, seed=0)
    assert torch.equal(single[0].weight.double(), double[0].weight)  # type: ignore[arg-type]


def test_unknown_fan() -> None:
    with pytest.raises(ValueError, match="unknown fan 'both': in or out"):
        initialise(nn.Conv2d(3, 3, 3), seed=0, fan="both")  # type: ignore[arg-type]
