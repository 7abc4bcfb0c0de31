import pytest
import torch
from torch import nn

from rescli.errors import UsageError
from rescli.evaluation.images.views import ViewBatch
from rescli.evaluation.responses import layer_responses, responding_layers
from rescli.hardware.numerics import Numerics
from rescli.models.resnet import cifar_resnet, imagenet_resnet

FP32 = Numerics(torch.device("cpu"), "fp32")


@pytest.fixture
def net():
    net = cifar_resnet(depth=8, seed=0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 2)
    return net


def batches_of(images, size):
    return [
        ViewBatch(images[start : start + size], range(start, min(start + size, len(images))), 0)
        for start in range(0, len(images), size)
    ]


def test_equals_numpy_on_the_outputs_of_a_slow_forward_pass(net):
    images = torch.randn(10, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = layer_responses(net.train(), batches_of(images, 4), numerics=FP32)
    assert net.training  # as it was
    net.eval()
    outputs = []
    with torch.no_grad():
        x = net.bn1(net.conv1(images))
        outputs.append(x)
        x = x.relu()
        for stage in (net.layer1, net.layer2, net.layer3):
            for block in stage:
                inner = block.bn1(block.conv1(x))
                last = block.bn2(block.conv2(inner.relu()))
                outputs += [inner, last]
                beside = x if block.downsample is None else block.downsample(x)
                x = (last + beside).relu()
    assert [response.layer for response in found] == [
        "conv1",
        *(f"layer{s}.0.conv{c}" for s in (1, 2, 3) for c in (1, 2)),
    ]
    for response, output in zip(found, outputs, strict=True):
        assert response.std == pytest.approx(float(output.double().numpy().std()), rel=1e-5)


@pytest.mark.parametrize("size", [1, 3, 10])
def test_the_batch_size_does_not_matter(net, size):
    images = torch.randn(10, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = layer_responses(net, batches_of(images, 10), numerics=FP32)
    parts = layer_responses(net, batches_of(images, size), numerics=FP32)
    assert [r.std for r in parts] == pytest.approx([r.std for r in whole], rel=1e-5)


def test_no_hook_is_left_behind(net):
    layer_responses(net, batches_of(torch.randn(2, 3, 32, 32), 2), numerics=FP32)
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize(("depth", "shortcut"), [(20, "A"), (56, None), (20, "B")])
def test_a_cifar_net_has_one_3x3_layer_less_than_its_depth(depth, shortcut):
    assert len(responding_layers(cifar_resnet(depth=depth, shortcut=shortcut))) == depth - 1


def test_of_a_bottleneck_the_3x3_layer_counts():
    layers = responding_layers(imagenet_resnet(depth=50, width=8))
    assert len(layers) == 16  # the stem is 7x7
    assert all(name.endswith("conv2") for name in layers)


def test_a_net_without_such_layers_is_refused():
    with pytest.raises(UsageError, match="Sequential has no 3x3 convolution"):
        responding_layers(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()))
