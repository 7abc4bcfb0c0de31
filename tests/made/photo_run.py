"""A short training on made photographs, and what it says and leaves."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rescli.checkpoints.checkpoint import Checkpoint


def put_photos(root: Path) -> Path:
    """Two classes of noise: 12 images to train on, 6 to validate on."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 6)):
        for number in range(count):
            path = root / split / f"class{number % 2}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(path)
    return root


def flags(root: Path) -> list[object]:
    return [
        *("imagefolder/32", "--data-root", root, "--set", "model.depth=8", "--set", "model.width=4"),
        *("--iterations", 6, "--batch-size", 4, "--device", "cpu", "--workers", 0),
        *("--set", "evaluation.every=2", "--set", "checkpoint.every=6", "--set", "metrics.every=1"),
    ]


def cut(path: Path) -> None:
    """As of a broken download: its end tells."""
    path.write_bytes(path.read_bytes()[:900])


def typed(hint: str, err: str, **words: object) -> list[str]:
    """The arguments of the command that a message names, words in capitals replaced."""
    (line,) = [line for line in err.splitlines() if re.search(hint, line)]
    command = line.strip().removeprefix("try: ").split("  #")[0]
    for word, value in words.items():
        command = command.replace(word, str(value))
    program, *arguments = shlex.split(command)
    assert program == "rescli"
    return arguments


def record_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "record.json").read_text())
    return found


def tensors(run: Path) -> dict[str, Any]:
    return Checkpoint.read(run / "checkpoints/last.safetensors").tensors
