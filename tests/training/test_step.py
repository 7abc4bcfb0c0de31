import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from rescli.hardware.numerics import Numerics
from rescli.models.resnet import cifar_resnet
from rescli.optim.sgd import sgd
from rescli.training.step import train_step

CPU_FP32 = Numerics(torch.device("cpu"), "fp32")


def batch(size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 3, 32, 32, generator=generator).to(memory_format=torch.channels_last)
    return images, torch.randint(0, 10, (size,), generator=generator)


def test_figures_are_of_the_net_before_the_update():
    model = cifar_resnet(depth=8, seed=1).train()
    images, labels = batch()
    with torch.no_grad():
        logits = cifar_resnet(depth=8, seed=1).train()(images)
    expected_loss = -(logits.log_softmax(1)[torch.arange(16), labels]).mean()
    optimizer = sgd(model, lr=0.1, momentum=0.9, nesterov=False, weight_decay=1e-4)

    loss, correct = train_step(model, optimizer, images, labels, numerics=CPU_FP32).tolist()

    assert loss == pytest.approx(expected_loss.item(), rel=1e-5)
    assert correct == (logits.argmax(1) == labels).sum().item()


def test_a_step_moves_against_the_gradient():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    images, labels = batch()
    weight = model[1].weight.detach().clone()
    F.cross_entropy(model(images), labels).backward()
    gradient = model[1].weight.grad.clone()
    model.zero_grad()
    optimizer = sgd(model, lr=0.5, momentum=0.9, nesterov=False, weight_decay=0.0)

    train_step(model, optimizer, images, labels, numerics=CPU_FP32)

    torch.testing.assert_close(model[1].weight.detach(), weight - 0.5 * gradient)
    assert model[1].weight.grad is None  # nothing is left for the next step to add to


class RefuseHostReads(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert "_local_scalar_dense" not in str(function), "the step read a number from the device"
        assert "nonzero" not in str(function), "the step's shapes depend on data"
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_nothing_in_a_step_waits_for_the_device(precision):
    model = cifar_resnet(depth=20, seed=0).train().to(memory_format=torch.channels_last)
    optimizer = sgd(model, lr=0.1, momentum=0.9, nesterov=False, weight_decay=1e-4)
    images, labels = batch()
    numerics = Numerics(torch.device("cpu"), precision)
    train_step(model, optimizer, images, labels, numerics=numerics)  # the optimizer makes its buffers
    with RefuseHostReads():
        train_step(model, optimizer, images, labels, numerics=numerics)


def test_bf16_keeps_parameters_momentum_and_statistics_in_fp32():
    model = cifar_resnet(depth=8, seed=0).train()
    optimizer = sgd(model, lr=0.1, momentum=0.9, nesterov=False, weight_decay=1e-4)
    figures = train_step(model, optimizer, *batch(), numerics=Numerics(torch.device("cpu"), "bf16"))
    kept = [*model.parameters(), *(s["momentum_buffer"] for s in optimizer.state.values()), figures]
    kept += [buffer for name, buffer in model.named_buffers() if "running" in name]
    assert {tensor.dtype for tensor in kept} == {torch.float32}


def test_a_loss_scale_leaves_the_update_as_it_is(monkeypatch):
    plain, scaled = cifar_resnet(depth=8, seed=0).train(), cifar_resnet(depth=8, seed=0).train()
    train_step(
        plain, sgd(plain, lr=0.1, momentum=0.9, nesterov=False, weight_decay=0), *batch(), numerics=CPU_FP32
    )
    monkeypatch.setattr(Numerics, "loss_scale", 128.0)
    train_step(
        scaled, sgd(scaled, lr=0.1, momentum=0.9, nesterov=False, weight_decay=0), *batch(), numerics=CPU_FP32
    )
    # A power of two only moves exponents: the update is the same to the last bit.
    for (name, one), other in zip(plain.named_parameters(), scaled.parameters(), strict=True):
        assert torch.equal(one, other), name
