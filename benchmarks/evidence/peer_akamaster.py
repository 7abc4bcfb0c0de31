"""Train the ResNet-20 of github.com/akamaster/pytorch_resnet_cifar10 by its own ``train``, on our images.

    python benchmarks/evidence/peer_akamaster.py CHECKOUT --seed 0 --state SCRATCH_DIR --json RESULT.json

CHECKOUT is a folder that holds its ``resnet.py`` and ``trainer.py``. Its model, its ``train`` and its
``validate`` are used as they are, with its optimizer, loss and way to load; ``.cuda()`` is made to do
nothing, and weights lie in channels-last memory, which is faster and computes the same. The images are those
that ``rescli train --dataset cifar10`` sees: the same 45,000, with the same mean image subtracted, padded
after it as in the paper. Given again, the command goes on after the last part that was finished.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torchvision  # type: ignore[import-untyped]
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from rescli.data.image_set import ImageSet
from rescli.data.normalization import Normalization
from rescli.data.specs import Cifar10Spec
from rescli.files import write_atomically
from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import Numerics
from rescli.runs.record import now

PART = 500
"""Iterations between two saved states."""


class Images(Dataset[tuple[torch.Tensor, int]]):
    """uint8 images as the peer's loader wants them: one by one, as float tensors."""

    def __init__(self, images: ImageSet, normalization: Normalization, augmented: bool) -> None:
        self.images, self.labels = images.images_NHWC, images.labels_N.tolist()
        prepare = [transforms.ToTensor(), transforms.Lambda(lambda image: image - normalization.mean_CHW)]
        augment = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(32, 4)]
        self.transform = transforms.Compose([*prepare, *(augment if augmented else [])])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index].numpy()), self.labels[index]


class InChannelsLast:
    """A loader whose images lie in channels-last memory."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for images, labels in self.loader:
            yield images.contiguous(memory_format=torch.channels_last), labels


def commit_of(checkout: Path) -> str:
    """The commit of their code, so that it can be had again."""
    words = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def batches(num_images: int, iterations: int, batch_size: int, seed: int) -> list[list[int]]:
    """Full batches across the borders of epochs, as rescli's: every epoch is shuffled anew."""
    generator = torch.Generator().manual_seed(seed)
    epochs = -(-iterations * batch_size // num_images)
    order = torch.cat([torch.randperm(num_images, generator=generator) for _ in range(epochs)])
    return [part.tolist() for part in order[: iterations * batch_size].view(-1, batch_size)]


def peer(checkout: Path) -> tuple[ModuleType, ModuleType]:
    """Its two modules; its ``print`` at import is kept away from ours."""
    sys.path.insert(0, str(checkout))
    with contextlib.redirect_stdout(io.StringIO()):
        import resnet  # type: ignore[import-not-found]
        import trainer  # type: ignore[import-not-found]
    trainer.args = argparse.Namespace(half=False, print_freq=100)
    torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    return resnet, trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=4000)
    parser.add_argument("--milestones", type=int, nargs="*", default=[2000, 3000])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    resnet, trainer = peer(options.checkout.resolve())
    model = resnet.resnet20().to(memory_format=torch.channels_last)
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)

    data_root = Path(os.environ["RESCLI_DATA"]) if "RESCLI_DATA" in os.environ else None
    splits = Cifar10Spec().build(data_root, ("train", "test"))
    normalization = Normalization.fit(splits["train"].images_NHWC, "per-pixel-mean")
    augmented = Images(splits["train"], normalization, True)
    parts = batches(len(augmented), options.iterations, options.batch_size, options.seed)

    schedule = {
        "commit": commit_of(options.checkout),
        "seed": options.seed,
        "iterations": options.iterations,
        "milestones": options.milestones,
        "batch_size": options.batch_size,
    }
    options.state.mkdir(parents=True, exist_ok=True)
    state_file = options.state / f"peer-seed{options.seed}.pt"
    done, train_seconds, begun = 0, 0.0, []
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        if state["schedule"] != schedule:
            sys.exit(
                f"{state_file} is of another training: {state['schedule']}; --state takes another folder"
            )
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done, train_seconds, begun = state["done"], state["train_seconds"], state["begun"]
    begun = [*begun, {"iteration": done, "at": now()}]
    while done < options.iterations:
        # Crops and flips follow from the seed and the part, so that a stop changes nothing.
        torch.manual_seed(1_000_003 * (options.seed + 1) + done)
        until = min(edge for edge in (done + PART, *options.milestones, options.iterations) if edge > done)
        loader = DataLoader(
            augmented, batch_sampler=parts[done:until], num_workers=1, persistent_workers=False
        )
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * 0.1 ** sum(edge <= done for edge in options.milestones)
        began = time.perf_counter()
        trainer.train(InChannelsLast(loader), model, criterion, optimizer, done // PART)
        train_seconds += time.perf_counter() - began
        done = until
        kept: dict[str, Any] = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        beside = state_file.with_suffix(".new")
        kept |= {"schedule": schedule, "done": done, "train_seconds": train_seconds, "begun": begun}
        torch.save(kept, beside)
        beside.replace(state_file)

    test = DataLoader(Images(splits["test"], normalization, False), batch_size=128)
    plain = DataLoader(Images(splits["train"], normalization, False), batch_size=128)
    found = {
        "peer": "github.com/akamaster/pytorch_resnet_cifar10",
        **schedule,
        "command": "python benchmarks/evidence/peer_akamaster.py CHECKOUT --seed "
        f"{options.seed} --iterations {options.iterations} --state STATE --json RESULT",
        "precision": "fp32",
        "train_images": len(augmented),
        "train_sha256": splits["train"].fingerprint,
        "test_sha256": splits["test"].fingerprint,
        "test_error": round(100 - trainer.validate(InChannelsLast(test), model, criterion), 4),
        "train_error": round(100 - trainer.validate(InChannelsLast(plain), model, criterion), 4),
        "train_seconds": round(train_seconds, 1),
        "begun": begun,
        "date": now(),
        "device": device_name(Numerics(torch.device("cpu"), "fp32")),
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    }
    write_atomically(options.json, (json.dumps(found, indent=1) + "\n").encode())
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
