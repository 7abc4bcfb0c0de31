"""Images per second of rescli's training loop on the CPU, beside the loop that one writes by hand.

    python benchmarks/bench_step.py --depth 20 --batch-size 128

Contenders, in one process, interleaved: each round gives each of them one timed window.

p1-w0, p1-wN  the idiomatic PyTorch loop: a torchvision-style Dataset of PIL images with RandomCrop,
              RandomHorizontalFlip, ToTensor and Normalize; a shuffling DataLoader with no and with N
              workers; fp32, NCHW, the same net, torch.optim.SGD by default; loss and accuracy read
              by ``.item()`` at each step. The faster of the two counts as P1.
bare-step     rescli's train_step on one fixed batch, already augmented: no loader.
whole-loop    the events of fit() as ``rescli train`` draws them: the real loader, the schedule, the
              metrics read every 50 iterations, quiet. No evaluation and no checkpoint falls due.
loader        rescli's loader.batch alone, again and again: its caches are warmer than in the loop.

Workers start, and fill their queue, before the first window. A window of theirs ends only when the
queue is full again: it pays for as many batches as it trains on, none is made outside it, and the
workers sleep while others are timed. What a DataLoader pays at each epoch's start is left out.

Result, 2026-11, 2 cores of an AMD EPYC (Zen 4), torch 2.15, bf16, CIFAR-10, batch 128; medians of
each round's own ratio [quartiles]; about 2 minutes each. benchmarks/results/bench_step_cpu-* has the rest.
  resnet-20 (11 rounds x 5 steps)  972 img/s  2.20 [2.02, 2.35] x P1  1.006 [0.99, 1.02] x bare step
  resnet-56 (9 rounds x 3 steps)   309 img/s  1.98 [1.93, 2.16] x P1  0.993 [0.92, 1.05] x bare step
                                   (before the allocator was tuned; other work in the last rounds)
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing import Value
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.data import DataLoader, Dataset, RandomSampler, default_collate
from torchvision import transforms  # type: ignore[import-untyped]

from rescli import __version__
from rescli.cli.choose import Choice, choose_spec
from rescli.data.image_set import ImageSet
from rescli.data.normalization import Normalization
from rescli.plan import make_plan
from rescli.runs.assemble import Assembly, assemble
from rescli.runs.execute import numerics_for
from rescli.runs.record import device_name, now
from rescli.training.events import StepDone
from rescli.training.fit import fit
from rescli.training.step import train_step

WARMUP_STEPS = 3
LOADER_STEPS = 10
"""Batches of the loader per step of the others: one alone takes too few milliseconds to time."""
PREFETCH = 2  # batches that a worker holds ready: the DataLoader's default
BUSY_BEFORE, BUSY_AFTER = 0.7, 0.3
"""One-minute load averages, the second beyond our own threads, above which the machine counts as busy."""

Contender = Callable[[int], int]
"""Does so many steps; returns the number of images."""


class PilImages(Dataset[tuple[torch.Tensor, int]]):
    """A split as torchvision.datasets.CIFAR10 yields it: each access makes a PIL image and transforms it."""

    def __init__(self, images: ImageSet, transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self.data = images.images_NHWC.numpy()
        self.targets: list[int] = images.labels_N.tolist()
        self.transform = transform

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.data[index])), self.targets[index]

    def __len__(self) -> int:
        return len(self.data)


class CountedCollate:
    """default_collate that counts its batches across processes."""

    def __init__(self) -> None:
        self.batches = Value("q", 0)

    def __call__(self, samples: list[Any]) -> Any:
        batch = default_collate(samples)
        with self.batches.get_lock():
            self.batches.value += 1
        return batch


class IdiomaticLoop:
    """P1: the training loop of a usual CIFAR repository (akamaster/pytorch_resnet_cifar10 and its kin)."""

    def __init__(self, assembly: Assembly, *, workers: int) -> None:
        dataset, batch_size = assembly.spec.data.dataset, assembly.spec.data.batch_size
        assert isinstance(assembly.train_set, ImageSet)
        normalization = Normalization.fit(assembly.train_set.images_NHWC, "per-channel")
        assert normalization.std_C is not None
        chain = (
            transforms.RandomCrop(dataset.image_size, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(normalization.mean_CHW.flatten().tolist(), normalization.std_C.tolist()),
        )
        images = PilImages(assembly.train_set, transforms.Compose(chain))
        self.model = assembly.spec.model.build(
            num_classes=dataset.num_classes, image_size=dataset.image_size, seed=assembly.spec.seed
        ).train()
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        self._collate = CountedCollate()
        # shuffle=True is this sampler for one epoch; here its permutations follow each other for ever.
        sampler = RandomSampler(images, num_samples=10**12)
        self._batches = iter(
            DataLoader(images, batch_size, sampler=sampler, num_workers=workers, collate_fn=self._collate)
        )
        self._held_ready, self._consumed = PREFETCH * workers, 0

    def __call__(self, steps: int) -> int:
        num_images, losses, precisions = 0, 0.0, 0.0
        for images, targets in itertools.islice(self._batches, steps):
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
        self._await_workers()
        return num_images

    def _await_workers(self) -> None:
        while self._collate.batches.value < self._consumed + self._held_ready:
            time.sleep(0.001)


def bare_step(assembly: Assembly) -> Contender:
    state = assembly.new_state()
    images, labels = assembly.loader.batch(0)

    def run(steps: int) -> int:
        for _ in range(steps):
            train_step(state.model, state.optimizer, images, labels, numerics=assembly.numerics)
        return steps * len(images)

    return run


def whole_loop(assembly: Assembly) -> Contender:
    state = assembly.new_state()
    plan = make_plan(assembly.spec)
    events = fit(state, assembly.choose_engine(state).engine, plan, evaluate=assembly.evaluate_val)

    def run(steps: int) -> int:
        done = (event for event in events if isinstance(event, StepDone))
        return sum(plan.batch_size for _ in itertools.islice(done, steps))

    return run


def loader_alone(assembly: Assembly) -> Contender:
    position = itertools.count()

    def run(steps: int) -> int:
        batches = (assembly.loader.batch(next(position)) for _ in range(steps * LOADER_STEPS))
        return sum(len(labels) for _, labels in batches)

    return run


def measure(contenders: dict[str, Contender], *, rounds: int, steps: int) -> dict[str, list[float]]:
    """Images per second of each contender in each round."""
    for run in contenders.values():
        run(WARMUP_STEPS)
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            num_images = run(steps)
            speeds[name].append(num_images / (time.perf_counter() - start))
    return speeds


def spread(values: list[float], digits: int) -> dict[str, float]:
    """Median, quartiles and minimum."""
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    figures = {"median": median, "min": min(values), "q1": q1, "q3": q3}
    return {name: round(figure, digits) for name, figure in figures.items()}


def summarize(speeds: dict[str, list[float]]) -> dict[str, Any]:
    """The figures of the record: speeds, and the medians and quartiles of each round's own ratios."""
    p1 = max((name for name in speeds if name.startswith("p1-")), key=lambda n: statistics.median(speeds[n]))
    loop = speeds["whole-loop"]
    ratios = {
        "whole_loop_over_p1": [a / b for a, b in zip(loop, speeds[p1], strict=True)],
        "whole_loop_over_bare_step": [a / b for a, b in zip(loop, speeds["bare-step"], strict=True)],
        "loader_percent_of_step": [100 * a / b for a, b in zip(loop, speeds["loader"], strict=True)],
    }
    return {
        "images_per_second": {name: spread(values, 1) for name, values in speeds.items()},
        "p1": p1,
        "ratios": {name: spread(values, 3) for name, values in ratios.items()},
    }


def print_table(record: dict[str, Any]) -> None:
    table = Table(
        title=f"{record['model']} {record['dataset']} batch {record['batch_size']}, {record['device']}"
    )
    table.add_column("images per second, and ratios")
    columns = ("median", "q1", "q3", "min")
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in {**record["images_per_second"], **record["ratios"]}.items():
        table.add_row(name, *(f"{row[column]:.6g}" for column in columns))
    console = Console(width=100)
    console.print(table)
    over_p1, over_bare = (record["ratios"][f"whole_loop_over_{of}"]["median"] for of in ("p1", "bare_step"))
    console.print(f"whole loop = {over_p1:.2f} x {record['p1']} = {over_bare:.3f} x bare step")


def choose_assembly(args: argparse.Namespace) -> Assembly:
    """The preset that ``rescli train --dataset D --depth N`` takes, with nothing due but steps."""
    steps = WARMUP_STEPS + args.rounds * args.steps + 1
    never = [f"{key}={steps}" for key in ("iterations", "evaluation.every", "checkpoint.every")]
    _, spec = choose_spec(
        Choice(dataset=args.dataset, depth=args.depth, batch_size=args.batch_size, overrides=never)
    )
    return assemble(spec, numerics=numerics_for(spec, "cpu"), data_root=None)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--dataset", choices=["cifar10", "shapes"], default="cifar10")
    parser.add_argument("--rounds", type=int, default=9, help="at least 2")
    parser.add_argument("--steps", type=int, default=5, help="per contender and round")
    parser.add_argument("--workers", type=int, default=2, help="of P1's DataLoader, beside none")
    parser.add_argument("--threads", type=int, help="of torch; else its own choice")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the record there")
    return parser.parse_args()


def main() -> None:
    load_before = os.getloadavg()[0]
    args = parse_arguments()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    assembly = choose_assembly(args)
    contenders: dict[str, Contender] = {
        f"p1-w{workers}": IdiomaticLoop(assembly, workers=workers) for workers in sorted({0, args.workers})
    }
    contenders["bare-step"] = bare_step(assembly)
    contenders["whole-loop"] = whole_loop(assembly)
    contenders["loader"] = loader_alone(assembly)
    speeds = measure(contenders, rounds=args.rounds, steps=args.steps)
    load_after = os.getloadavg()[0]
    packages = {package: version(package) for package in ("torch", "torchvision", "pillow")}
    record = {
        "benchmark": "bench_step",
        "date": now(),
        "command": shlex.join(["python", "benchmarks/bench_step.py", *sys.argv[1:]]),
        "device": device_name(assembly.numerics),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "load_average": {"before": round(load_before, 2), "after": round(load_after, 2)},
        "machine_busy": load_before > BUSY_BEFORE or load_after - torch.get_num_threads() > BUSY_AFTER,
        "versions": {"python": platform.python_version(), **packages, "rescli": __version__},
        "dataset": args.dataset,
        "model": assembly.spec.model.name,
        "batch_size": args.batch_size,
        "precision": assembly.numerics.precision,
        "rounds": args.rounds,
        "steps_per_round": {name: args.steps * (LOADER_STEPS if name == "loader" else 1) for name in speeds},
        **summarize(speeds),
    }
    if args.json is not None:
        args.json.write_text(json.dumps(record, indent=2) + "\n")
    print_table(record)


if __name__ == "__main__":
    main()
