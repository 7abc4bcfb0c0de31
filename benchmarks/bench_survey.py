"""How long training on very many photographs takes to begin: until the survey, and until the first step.

    python benchmarks/bench_survey.py SCRATCH_DIR --images 100000 --json benchmarks/results/survey.json

Makes a tree of hard links to a hundred small images (kept in SCRATCH_DIR for another time), reads it once so
that it lies in memory, and trains on it in one process and in two, several times in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from PIL import Image

from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import Numerics
from rescli.hardware.threads.cores import usable_cores
from rescli.runs.record import now

CLASSES, VAL_SHARE = 100, 10


def make_tree(root: Path, count: int) -> None:
    """``count`` hard links in train/CLASS and val/CLASS, a tenth of them in val."""
    source = root.with_name(f"{root.name}-images")
    source.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(100):
        made.append(source / f"{number}.jpg")
        Image.effect_noise((160 + number, 120 + number // 2), 40).convert("RGB").save(made[-1], quality=85)
    choose = random.Random(0)
    for number in range(count):
        split = "val" if number % VAL_SHARE == 0 else "train"
        folder = root / split / f"class{number // VAL_SHARE % CLASSES:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        os.link(choose.choice(made), folder / f"{number}.jpg")


def begin(root: Path, out: Path, nproc: int) -> dict[str, float]:
    """Seconds until the photographs are surveyed, and until the first step was made."""
    command = [
        *(sys.executable, "-m", "rescli", "train", "--dataset", "imagefolder", "--depth", "18"),
        *("--set", "model.width=4", "--data-root", str(root), "--device", "cpu", "--batch-size", "4"),
        *("--iterations", "100000", "--workers", "1", "--set", "metrics.every=1", "--out", str(out)),
        *(("--nproc", str(nproc)) if nproc > 1 else ()),
    ]
    began = time.perf_counter()
    seconds: dict[str, float] = {}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("photographs in"):
                seconds["surveyed"] = time.perf_counter() - began
            if line.startswith("engine"):
                break
        metrics = out / "metrics.jsonl"  # progress is a line only every ten seconds
        while process.poll() is None and not (metrics.is_file() and metrics.stat().st_size):
            time.sleep(0.02)
        seconds["begun"] = time.perf_counter() - began
        process.terminate()
        process.stderr.read()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    root = given.scratch / f"tree{given.images}"
    if not root.is_dir():
        make_tree(root, given.images)
    for path in root.rglob("*.jpg"):
        path.read_bytes()
    rounds: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for number in range(given.rounds):
        for nproc, found in rounds.items():
            found.append(begin(root, given.scratch / f"run{time.time_ns()}-{number}", nproc))
            print(nproc, found[-1], f"load {os.getloadavg()[0]:.1f}", flush=True)
    told = {
        "what": "seconds from the command until photographs are surveyed and until the first step; warm disk",
        "command": f"python benchmarks/bench_survey.py SCRATCH_DIR --images {given.images}",
        "measured": now(),
        "num_images": given.images,
        "device": device_name(Numerics(torch.device("cpu"), "fp32")),
        "cores": usable_cores(),
        "load_at_the_end": os.getloadavg()[0],
        "peak_memory_bytes_of_a_process": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        "processes": {
            str(nproc): {
                what: {
                    "median": statistics.median(one[what] for one in found),
                    "least": min(one[what] for one in found),
                    "most": max(one[what] for one in found),
                }
                for what in ("surveyed", "begun")
            }
            for nproc, found in rounds.items()
        },
    }
    print(json.dumps(told, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
