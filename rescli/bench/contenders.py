"""What ``rescli bench`` lets run against each other. Each is a function of a number of steps.

p1, p1-wN    the idiomatic PyTorch loop: PIL transforms one image at a time in a DataLoader with no or N
             workers, fp32, torch's default layout, torch.optim.SGD, loss and accuracy read at every step
p2           what an expert writes by hand: rescli's images on the device, channels-last, the run's
             precision, fused SGD, nothing read
p3           p2 with torch.compile in its mode max-autotune
p4           rescli's whole loop with the engine ``compile``: torch.compile inside one CUDA graph
bare-step    forward, loss, backward and update on one batch that is there already
whole-loop   what ``rescli train`` does, quiet, with no evaluation and no saved state falling due
loader       rescli's batches alone
timm         timm's network of that name, where it has it, as p2 on one batch that is there already
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import Value
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, RandomSampler, default_collate
from torchvision import transforms  # type: ignore[import-untyped]

from rescli import paper
from rescli.data.loader import DeviceLoader
from rescli.data.normalization import Normalization
from rescli.errors import UsageError
from rescli.installation import install_command
from rescli.plan import make_plan
from rescli.runs.assembly import Assembly
from rescli.spec.run import RunSpec
from rescli.training.events import StepDone
from rescli.training.fit import fit
from rescli.training.step import train_step

__all__ = ["IdiomaticLoop", "TimedLoop", "make_loop"]

_PREFETCH = 2
"""Batches that a DataLoader's worker holds ready: its default."""


@dataclass(frozen=True)
class TimedLoop:
    """A training loop, or a part of one, that can be timed.

    Args:
        run: does so many steps and gives the number of images; queued work is not waited for.
        engine: what launches the steps of rescli's own loop.
    """

    run: Callable[[int], int]
    engine: str | None = None


def make_loop(name: str, assembly: Assembly) -> TimedLoop:
    """The loop of any contender but p1, which rescli has no part in.

    Raises:
        UsageError: it does not work here, or there is none of that name.
    """
    if name in ("p2", "p3", "timm") and assembly.numerics.device.type == "cuda":
        # What rescli gives up for the same bits on another day, nobody else does.
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, False
    if name == "p2":
        return TimedLoop(_expert_loop(assembly, _own_net(assembly)))
    if name == "p3":
        mode = "max-autotune" if assembly.numerics.device.type == "cuda" else None
        model = cast(nn.Module, torch.compile(_own_net(assembly), mode=mode))
        return TimedLoop(_expert_loop(assembly, model, compiling=torch.compile))
    if name == "p4":
        return _whole_loop(replace(assembly, where=replace(assembly.where, engine="compile")))
    if name == "bare-step":
        return TimedLoop(_bare_step(assembly))
    if name == "whole-loop":
        return _whole_loop(assembly)
    if name == "loader":
        steps = itertools.count()

        def run(count: int) -> int:
            return sum(len(assembly.loader.batch(next(steps))[1]) for _ in range(count))

        return TimedLoop(run)
    if name == "timm":
        return TimedLoop(_on_one_batch(assembly, _timm_net(assembly)))
    raise UsageError(f"unknown contender {name!r}.")


class IdiomaticLoop:
    """p1: the training loop of a usual CIFAR repository (akamaster/pytorch_resnet_cifar10 and its kin).

    A window ends only when the workers' queue is full again: it pays for as many batches as it trains on,
    and the workers sleep while others are timed. What a DataLoader pays at each epoch's start is left out.
    """

    def __init__(self, spec: RunSpec, *, data_root: Path | None, device: torch.device, workers: int) -> None:
        """Read the training part and start the workers.

        Raises:
            UsageError: the set is one of photographs.
        """
        dataset = spec.data.dataset
        train_set = dataset.build(data_root, ("train",))["train"]
        if train_set.stacked is None:
            raise UsageError("the idiomatic loop is one of images of one size; photographs have timm's.")
        normalization = Normalization.fit(train_set.stacked, "per-channel")
        assert normalization.std_C is not None
        chain = (
            transforms.RandomCrop(dataset.image_size, padding=paper.PAD),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(normalization.mean_CHW.flatten().tolist(), normalization.std_C.tolist()),
        )
        images = _PilImages(train_set.stacked, train_set.labels_N, transforms.Compose(chain))
        self.device = device
        self.model = _net(spec).to(device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        self._collate = _CountedCollate()
        # shuffle=True is this sampler for one epoch; here its permutations follow each other for ever.
        sampler = RandomSampler(images, num_samples=10**12)
        self._batches: Iterator[Any] = iter(
            DataLoader(
                images,
                spec.data.batch_size,
                sampler=sampler,
                num_workers=workers,
                collate_fn=self._collate,
                pin_memory=self.device.type == "cuda",
            )
        )
        self._held_ready, self._consumed = _PREFETCH * workers, 0

    def __call__(self, steps: int) -> int:
        num_images, losses, precisions = 0, 0.0, 0.0
        for images, targets in itertools.islice(self._batches, steps):
            images, targets = images.to(self.device), targets.to(self.device)
            outputs = self.model(images)
            loss = self.criterion(outputs, targets)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            correct = outputs.detach().argmax(1).eq(targets).float().mean()
            losses += loss.item() * len(images)
            precisions += correct.item() * len(images)
            num_images += len(images)
        self._consumed += steps
        while self._collate.batches.value < self._consumed + self._held_ready:
            time.sleep(0.001)
        return num_images


class _PilImages(Dataset[tuple[torch.Tensor, int]]):
    """A split as torchvision.datasets.CIFAR10 yields it: each access makes a PIL image and transforms it."""

    def __init__(
        self,
        images_NHWC: torch.Tensor,
        labels_N: torch.Tensor,
        transform: Callable[[Image.Image], torch.Tensor],
    ) -> None:
        self.data = images_NHWC.numpy()
        self.targets: list[int] = labels_N.tolist()
        self.transform = transform

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.data[index])), self.targets[index]

    def __len__(self) -> int:
        return len(self.data)


class _CountedCollate:
    """default_collate that counts its batches across processes."""

    def __init__(self) -> None:
        self.batches = Value("q", 0)

    def __call__(self, samples: list[Any]) -> Any:
        batch = default_collate(samples)
        with self.batches.get_lock():
            self.batches.value += 1
        return batch


def _expert_loop(
    assembly: Assembly, model: nn.Module, *, compiling: Callable[[Any], Any] = lambda function: function
) -> Callable[[int], int]:
    """p2 and p3: rescli's batches and an expert's step.

    Args:
        assembly: the data.
        model: the network.
        compiling: what makes the gathering of a batch as fast as the network.
    """
    loader = cast(DeviceLoader, assembly.loader)
    gather = compiling(loader.gather)
    optimizer = _fused_sgd(model)
    steps = itertools.count()

    def run(count: int) -> int:
        for _ in range(count):
            _plain_step(assembly, model, optimizer, *gather(*loader.order.batch(next(steps))))
        return count * loader.batch_size

    return run


def _on_one_batch(assembly: Assembly, model: nn.Module) -> Callable[[int], int]:
    optimizer = _fused_sgd(model)
    images, labels = assembly.loader.batch(0)

    def run(count: int) -> int:
        for _ in range(count):
            _plain_step(assembly, model, optimizer, images, labels)
        return count * len(labels)

    return run


def _plain_step(
    assembly: Assembly,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> None:
    optimizer.zero_grad(set_to_none=True)
    with assembly.numerics.autocast():
        loss = F.cross_entropy(model(images).float(), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _fused_sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, fused=True)


def _bare_step(assembly: Assembly) -> Callable[[int], int]:
    state = assembly.new_state()
    images, labels = assembly.loader.batch(0)

    def run(count: int) -> int:
        for _ in range(count):
            train_step(state.model, state.optimizer, images, labels, numerics=assembly.numerics)
        return count * len(labels)

    return run


def _whole_loop(assembly: Assembly) -> TimedLoop:
    state = assembly.new_state()
    plan = make_plan(assembly.spec)
    engine = assembly.choose_engine(state).engine
    events = fit(state, engine, plan, evaluate=assembly.evaluate_val)
    done = (event for event in events if isinstance(event, StepDone))

    def run(count: int) -> int:
        return sum(plan.batch_size for _ in itertools.islice(done, count))

    return TimedLoop(run, engine.name)


def _net(spec: RunSpec) -> nn.Module:
    dataset = spec.data.dataset
    model: nn.Module = spec.model.build(
        num_classes=dataset.num_classes, image_size=dataset.image_size, seed=spec.seed
    )
    return model.train()


def _own_net(assembly: Assembly) -> nn.Module:
    return _net(assembly.spec).to(assembly.numerics.device).to(memory_format=torch.channels_last)


def _timm_net(assembly: Assembly) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise UsageError(
            "timm is not installed.", hint=install_command("timm"), page="an-extra-is-missing"
        ) from error
    name = assembly.spec.model.name.replace("-", "")
    if not timm.is_model(name):
        raise UsageError(f"timm has no {name}.")
    model: nn.Module = timm.create_model(name, num_classes=assembly.spec.data.dataset.num_classes)
    return model.train().to(assembly.numerics.device).to(memory_format=torch.channels_last)
