"""The training loop against one written from the paper's words, in float64, from equal weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rescli.data.augment import crop_flip_parameters
from rescli.data.image_set import ImageSet
from rescli.data.loader import DeviceLoader
from rescli.data.normalization import Normalization
from rescli.data.order import SampleOrder
from rescli.data.specs import Cifar10Spec, ShapesSpec
from rescli.hardware.numerics import Numerics
from rescli.models.resnet import cifar_resnet
from rescli.optim.schedules import MultiStep
from rescli.optim.sgd import sgd
from rescli.plan import TrainPlan
from rescli.training.engines.eager import EagerEngine
from rescli.training.events import MetricsReady
from rescli.training.fit import fit
from rescli.training.state import TrainState

STEPS, BATCH, LR, MILESTONE, SEED = 30, 8, 0.05, 20, 3


def _forward(weights: dict[str, Tensor], images: Tensor, blocks: int) -> Tensor:
    """Section 4.2, ResNet with option A, in training mode: plain functions of a dict of tensors."""

    def conv_bn(x: Tensor, conv: str, bn: str, stride: int) -> Tensor:
        x = F.conv2d(x, weights[f"{conv}.weight"], stride=stride, padding=1)
        mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
        x = (x - mean) / torch.sqrt(var + 1e-5)
        return x * weights[f"{bn}.weight"].view(-1, 1, 1) + weights[f"{bn}.bias"].view(-1, 1, 1)

    x = F.relu(conv_bn(images, "conv1", "bn1", 1))
    for stage in (1, 2, 3):
        for index in range(blocks):
            block = f"layer{stage}.{index}"
            stride = 2 if stage > 1 and index == 0 else 1
            branch = F.relu(conv_bn(x, f"{block}.conv1", f"{block}.bn1", stride))
            branch = conv_bn(branch, f"{block}.conv2", f"{block}.bn2", 1)
            if stride == 2:
                x = F.pad(x[..., ::2, ::2], (0, 0, 0, 0, 0, x.shape[1]))
            x = F.relu(branch + x)
    return F.linear(x.mean((2, 3)), weights["fc.weight"], weights["fc.bias"])


def _batches(train: ImageSet, mean_CHW: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The same images, crops and flips as ours, made with ``F.pad`` one by one."""
    order = SampleOrder(len(train), batch_size=BATCH, seed=SEED, device="cpu")
    for step in range(STEPS):
        indices, slots = order.batch(step)
        draws = zip(*(draw.tolist() for draw in crop_flip_parameters(slots, seed=SEED, pad=4)), strict=True)
        crops = []
        for index, (top, left, flip) in zip(indices.tolist(), draws, strict=True):
            image = train.images_NHWC[index].permute(2, 0, 1) / 255 - mean_CHW
            padded = F.pad(image, (4, 4, 4, 4))
            crops.append(
                (padded.flip(2) if flip else padded)[
                    :, top : top + image.shape[1], left : left + image.shape[2]
                ]
            )
        yield torch.stack(crops).double(), train.labels_N[indices]


def _losses_of_the_second_loop(train: ImageSet, mean_CHW: Tensor, depth: int) -> list[float]:
    trained = {name for name, _ in cifar_resnet(depth=depth).named_parameters()}
    start = cifar_resnet(depth=depth, seed=SEED).double().state_dict()
    weights = {name: tensor.clone().requires_grad_() for name, tensor in start.items() if name in trained}
    optimizer = torch.optim.SGD(weights.values(), LR, momentum=0.9, weight_decay=1e-4)
    losses = []
    for step, (images, labels) in enumerate(_batches(train, mean_CHW)):
        if step == MILESTONE:
            optimizer.param_groups[0]["lr"] = LR / 10
        optimizer.zero_grad()
        loss = F.cross_entropy(_forward(weights, images, (depth - 2) // 6), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses


def _losses_of_fit(train: ImageSet, normalization: Normalization, depth: int) -> list[float]:
    model = cifar_resnet(depth=depth, seed=SEED).double().train()
    optimizer = sgd(model, lr=LR, momentum=0.9, nesterov=False, weight_decay=1e-4)
    state = TrainState(model, optimizer, ring=torch.zeros(1, 2, dtype=torch.float64))
    loader = DeviceLoader(train, normalization, batch_size=BATCH, seed=SEED, device="cpu", pad=4, flip=True)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        images, labels = loader.batch(step)
        return images.double(), labels

    engine = EagerEngine(state, batch, Numerics(torch.device("cpu"), "fp32"))
    plan = TrainPlan(
        total_steps=STEPS,
        batch_size=BATCH,
        num_train=len(train),
        num_val=0,
        base_lr=LR,
        schedule=MultiStep((MILESTONE,), 0.1),
        metrics_every=1,
        eval_every=STEPS,
        checkpoint_every=STEPS,
    )
    events = fit(state, engine, plan, evaluate=lambda _: None)
    return [event.loss for event in events if isinstance(event, MetricsReady)]


def _require_equal(train: ImageSet, depth: int) -> None:
    normalization = Normalization.fit(train.images_NHWC, "per-pixel-mean")
    ours = _losses_of_fit(train, normalization, depth)
    second = _losses_of_the_second_loop(train, normalization.mean_CHW, depth)
    assert len(ours) == STEPS
    assert max(abs(one - other) for one, other in zip(ours, second, strict=True)) < 1e-10
    assert len({round(loss, 3) for loss in ours}) > 20  # the net does change


def test_30_losses_of_resnet_20_are_equal_to_1e_10() -> None:
    """Of fewer images than 30 steps take: the order begins anew, and a batch crosses the border."""
    (train,) = ShapesSpec(num_train=196).build(None, ("train",)).values()
    _require_equal(replace(train, images_NHWC=train.images_NHWC[:, ::2, ::2].contiguous()), depth=20)


@pytest.mark.realdata
def test_30_losses_on_real_cifar_10_are_equal_to_1e_10(cifar_root: Path) -> None:
    (train,) = Cifar10Spec().build(cifar_root, ("train",)).values()
    _require_equal(train.subset(torch.arange(196)), depth=8)
