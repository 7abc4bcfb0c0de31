"""Whole nets: against torchvision, against a slow reference, and at the edges."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision  # type: ignore[import-untyped]
from torch import Tensor, nn

from rescli.models.blocks import BasicBlock
from rescli.models.resnet import ResNet, cifar_resnet, imagenet_resnet


def _images(size: int, num_images: int = 2) -> Tensor:
    return torch.randn(num_images, 3, size, size, generator=torch.Generator().manual_seed(7))


def _randomise_batch_norm(model: nn.Module) -> None:
    """Scales and statistics away from 1 and 0, so that a missing or swapped one shows."""
    generator = torch.Generator().manual_seed(11)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.weight.uniform_(0.2, 0.6, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
            module.get_buffer("running_mean").normal_(0, 0.1, generator=generator)
            module.get_buffer("running_var").uniform_(0.5, 1.5, generator=generator)


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_equals_torchvision_with_its_weights(depth: int) -> None:
    size = 97 if depth == 18 else 64  # one odd size; small ones keep the deep nets quick
    theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None, num_classes=20).eval()
    _randomise_batch_norm(theirs)
    ours = imagenet_resnet(depth=depth, num_classes=20, shortcut="B", stride_on="3x3").eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    with torch.inference_mode():
        expected, logits = theirs(_images(size)), ours(_images(size))
    # Relative to the largest logit: fp32 rounding of one sum in another order, not of the size 1.
    assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert expected.std() > 1e-3
    theirs.load_state_dict(ours.state_dict(), strict=True)  # and back


def test_stride_on_1x1_differs_from_torchvision() -> None:
    theirs = torchvision.models.resnet50(weights=None, num_classes=5).eval()
    ours = imagenet_resnet(depth=50, num_classes=5).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)  # same tensors, another net
    with torch.inference_mode():
        assert (theirs(_images(64)) - ours(_images(64))).abs().max() > 1e-3


def _reference_cifar_a(weights: dict[str, Tensor], images: Tensor, n: int) -> Tensor:
    """Section 4.2 with option A from the paper's words: no modules, channels concatenated."""

    def conv_bn(x: Tensor, conv: str, bn: str, stride: int) -> Tensor:
        x = F.conv2d(x, weights[f"{conv}.weight"], stride=stride, padding=1)
        mean, var = weights[f"{bn}.running_mean"], weights[f"{bn}.running_var"]
        scale = weights[f"{bn}.weight"] / torch.sqrt(var + 1e-5)
        return (x - mean[:, None, None]) * scale[:, None, None] + weights[f"{bn}.bias"][:, None, None]

    x = conv_bn(images, "conv1", "bn1", 1).clamp(min=0)
    for stage in (1, 2, 3):
        for index in range(n):
            block = f"layer{stage}.{index}"
            stride = 2 if stage > 1 and index == 0 else 1
            branch = conv_bn(x, f"{block}.conv1", f"{block}.bn1", stride).clamp(min=0)
            branch = conv_bn(branch, f"{block}.conv2", f"{block}.bn2", 1)
            if stride == 2:
                kept = x[..., ::2, ::2]
                x = torch.cat([kept, torch.zeros_like(kept)], dim=1)
            x = (branch + x).clamp(min=0)
    pooled = x.flatten(2).sum(2) / (x.shape[2] * x.shape[3])
    return pooled @ weights["fc.weight"].T + weights["fc.bias"]


@pytest.mark.parametrize("size", [32, 27])
def test_cifar_option_a_equals_reference(size: int) -> None:
    net = cifar_resnet(depth=20).double().eval()
    _randomise_batch_norm(net)
    with torch.inference_mode():
        torch.testing.assert_close(
            net(_images(size).double()), _reference_cifar_a(net.state_dict(), _images(size).double(), 3)
        )


@pytest.mark.parametrize("depth", [8, 62, 1202])
@pytest.mark.parametrize("shortcut", [None, "A"])
def test_every_n_builds_with_its_number_of_layers(depth: int, shortcut: Any) -> None:
    with torch.device("meta"):
        net = cifar_resnet(depth=depth, shortcut=shortcut)
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in net.modules()) == depth
    assert sum(isinstance(m, BasicBlock) for m in net.modules()) == (depth - 2) // 2


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_imagenet_nets_have_their_number_of_layers(depth: int) -> None:
    with torch.device("meta"):
        net = imagenet_resnet(depth=depth, shortcut="A")  # no projections, which the name does not count
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in net.modules()) == depth


@pytest.mark.parametrize("depth", [9, 57, 2])
def test_cifar_depth_that_does_not_fit(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"{depth} is not 6n\+2"):
        cifar_resnet(depth=depth)


def test_imagenet_depth_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="56 is not in Table 1, which has 18 34 50 101 152"):
        imagenet_resnet(depth=56)


def test_stride_2_at_the_first_convolution_of_stages_2_and_3() -> None:
    net = cifar_resnet(depth=20)
    strided = [name for name, m in net.named_modules() if isinstance(m, nn.Conv2d) and m.stride != (1, 1)]
    assert strided == ["layer2.0.conv1", "layer3.0.conv1"]
    net = imagenet_resnet(depth=50, shortcut="A", width=4)
    strided = [name for name, m in net.named_modules() if isinstance(m, nn.Conv2d) and m.stride != (1, 1)]
    assert strided == ["conv1", "layer2.0.conv1", "layer3.0.conv1", "layer4.0.conv1"]


@pytest.mark.parametrize("size", [8, 32, 45])
def test_images_of_any_size(size: int) -> None:
    for net in (cifar_resnet(depth=8), imagenet_resnet(depth=18, width=4, num_classes=10)):
        assert net.eval()(_images(size)).shape == (2, 10)


def test_plain_net_has_no_shortcut() -> None:
    plain = cifar_resnet(depth=20, shortcut=None)
    assert all(m.downsample is None for m in plain.modules() if isinstance(m, BasicBlock))
    # With one block's last scale zero nothing passes it: the logits forget the image.
    nn.init.zeros_(plain.get_parameter("layer2.1.bn2.weight"))
    logits = plain.eval()(_images(32))
    assert torch.equal(logits[0], logits[1])
    residual = cifar_resnet(depth=20, shortcut="A").eval()
    residual.load_state_dict(plain.state_dict(), strict=True)
    logits = residual(_images(32))
    assert not torch.equal(logits[0], logits[1])


@pytest.mark.parametrize("net", [cifar_resnet(depth=8), imagenet_resnet(depth=18, width=8)])
def test_logits_stay_fp32_under_bf16_autocast(net: ResNet) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(_images(32))
    assert logits.dtype == torch.float32
    # More than bf16 can hold: the head itself ran in fp32.
    assert not torch.equal(logits, logits.bfloat16().float())
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.parameters())


def test_channels_last_gives_the_same_logits() -> None:
    net = cifar_resnet(depth=14).eval()
    with torch.inference_mode():
        expected = net(_images(32))
        logits = net.to(memory_format=torch.channels_last)(
            _images(32).contiguous(memory_format=torch.channels_last)
        )
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_features_and_head_make_up_the_net() -> None:
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    for net, stride in ((cifar_resnet(depth=8), 4), (imagenet_resnet(depth=18, width=8), 32)):
        with torch.inference_mode():
            features = net.eval().features(images)
            assert features.shape[2:] == (64 // stride, 96 // stride)
            torch.testing.assert_close(net.head(features.mean((2, 3))), net(images))
