"""Loading photographs on one core: ours, from files and packed, beside a plain DataLoader, in turns.

    python benchmarks/bench_photos.py DIR_OF_CLASS_FOLDERS --json benchmarks/results/photos.json

Contenders, all of one batch of 64 at 224x224, normalised float32 in the end, in one process and one thread:

- plain: torchvision's transforms in PIL with the paper's augmentation (shorter side in [256, 480], crop,
  flip, tensor, colour shift, normalise) under a DataLoader with num_workers=0, as reference scripts have it;
- files: rescli's loader on the same files;
- packed 480, packed 256: rescli's loader on what ``rescli data pack --short-side`` made of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torchvision  # type: ignore[import-untyped]
import torchvision.transforms as transforms  # type: ignore[import-untyped]
import torchvision.transforms.functional as functional  # type: ignore[import-untyped]
from torch.utils.data import DataLoader

from rescli.data.folders.names import ALL
from rescli.data.folders.read import read_folder
from rescli.data.normalization import Normalization
from rescli.data.photos.augment import _EIGENVALUES, _EIGENVECTORS
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.loader import PhotoLoader
from rescli.data.photos.pack_index import write_index
from rescli.data.photos.packed import write_packed_split
from rescli.hardware.numerics import Numerics
from rescli.runs.record import now, peak_memory_bytes

BATCH = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class RandomShorterSide:
    """Resize so that the shorter side is uniform in [256, 480]."""

    def __call__(self, image: Any) -> Any:
        return functional.resize(image, random.randint(256, 480))


class Lighting:
    """AlexNet's colour shift, as reference scripts have it."""

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        weights = torch.randn(3) * 0.1 * torch.tensor(_EIGENVALUES)
        return image + (torch.tensor(_EIGENVECTORS) @ weights)[:, None, None]


def plain(root: Path) -> Callable[[], Iterator[Any]]:
    chain = transforms.Compose(
        [
            RandomShorterSide(),
            transforms.RandomCrop(224),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            Lighting(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    images = torchvision.datasets.ImageFolder(str(root), chain)
    return lambda: iter(DataLoader(images, batch_size=BATCH, shuffle=True, drop_last=True))


def ours(files: ImageFiles, workers: int) -> Callable[[], Iterator[Any]]:
    normalization = Normalization("per-channel", torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD))
    loader = PhotoLoader(
        files,
        normalization,
        batch_size=BATCH,
        seed=0,
        device="cpu",
        size=224,
        shorter_side=(256, 480),
        flip=True,
        color=0.1,
        skip_damaged=False,
        workers=workers,
    )
    begun = [0]

    def epoch() -> Iterator[Any]:
        for _ in range(len(files) // BATCH):
            yield loader.batch(begun[0])
            begun[0] += 1

    return epoch


def packed(files: ImageFiles, folder: Path, short_side: int) -> ImageFiles:
    folder.mkdir()
    write_packed_split(files, folder, ALL, short_side=short_side, quality=90, threads=os.cpu_count() or 1)
    write_index(folder, files.class_names, {ALL: len(files)})
    return read_folder(folder, (ALL,))[ALL]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    files = read_folder(given.root, (ALL,))[ALL]
    with tempfile.TemporaryDirectory() as temporary:
        contenders = {
            "plain": plain(given.root),
            "files": ours(files, 0),
            "packed 480": ours(packed(files, Path(temporary) / "480", 480), 0),
            "packed 256": ours(packed(files, Path(temporary) / "256", 256), 0),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        images = len(files) // BATCH * BATCH
        for _ in range(given.rounds + 1):
            for name, epoch in contenders.items():
                began = time.process_time()
                for _batch in epoch():
                    pass
                seconds[name].append(time.process_time() - began)
    rates = {name: [images / one for one in times[1:]] for name, times in seconds.items()}
    ratios = {
        name: [rate / base for rate, base in zip(values, rates["plain"], strict=True)]
        for name, values in rates.items()
    }
    print(f"{'':12}img/s per core   times plain (median, least, most; n = {given.rounds})")
    for name, values in rates.items():
        ratio = ratios[name]
        print(
            f"{name:12}{statistics.median(values):14.0f}   {statistics.median(ratio):.2f} "
            f"[{min(ratio):.2f}, {max(ratio):.2f}]"
        )
    peak = peak_memory_bytes(Numerics(torch.device("cpu"), "fp32"))
    print(f"peak memory of the process {peak / 1e6:.0f} MB")
    if given.json is not None:
        result = {
            "what": "images loaded per second of processor time, one thread; batch 64, 224x224",
            "command": "python benchmarks/bench_photos.py DIR",
            "measured": now(),
            "device": platform.processor() or platform.machine(),
            "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
            "num_images": len(files),
            "rounds": given.rounds,
            "images_per_second": {name: statistics.median(values) for name, values in rates.items()},
            "times_plain": {
                name: {"median": statistics.median(r), "least": min(r), "most": max(r)}
                for name, r in ratios.items()
            },
            "peak_memory_bytes": peak,
        }
        given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
