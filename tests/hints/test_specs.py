"""What is suggested where no spec comes about: names, keys, devices and precisions."""

# ruff: noqa: ARG001 -- fixtures make the place of a command

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rescli as library
from rescli.hardware import numerics
from rescli.spec import from_names
from rescli.spec.toml import to_toml
from rescli.studies.queued_run import QueuedRun

Heed = Callable[..., Any]

SHAPES = (
    "train shapes/base --depth 8 --set model.width=4 --iterations 2 --batch-size 8 --device cpu --threads 1 "
    "--set data.dataset.num_train=40 --set data.dataset.num_val=20 --set data.dataset.num_test=20"
)


@pytest.mark.parametrize(
    ("typed", "code", "reaches", "options"),
    [
        (
            "train --model resnet-20 --depth 20 --dry-run",
            2,
            ["spec/from_names.py model", "spec/from_names.py model.depth"],
            {"dropped": ["--model", "resnet-20", "--depth", "20"]},
        ),
        (
            "train --dry-run",
            2,
            ["spec/from_names.py train", "spec/from_names.py model.depth"],
            {"behind": "--dry-run"},
        ),
        ("train mine.toml --dry-run", 2, ["spec/load.py list_presets"], {}),
        ("train cifar10/resnet-21 --dry-run", 2, ["spec/load.py show_preset"], {"NAME": "quickstart"}),
        (
            "train quickstart --set optimizer.lr=big --dry-run",
            2,
            ["spec/load.py show_preset"],
            {"NAME": "quickstart"},
        ),
        ("train --model vgg-16 --dry-run", 2, ["models/naming.py list_models"], {}),
        ("compare vgg-16 resnet-20", 2, ["studies/operands.py list_presets"], {}),
        (f"{SHAPES} --device cuda", 2, ["hardware/numerics.py device"], {}),
        (f"{SHAPES} --precision fp16", 2, ["hardware/numerics.py precision"], {}),
        (f"{SHAPES} --kernels triton", 2, ["training/engines/choose.py kernels"], {}),
        (f"{SHAPES} --engine graph", 2, ["training/engines/choose.py engine"], {}),
    ],
)
def test_of_a_spec(heed: Heed, typed: str, code: int, reaches: list[str], options: dict[str, Any]) -> None:
    heed(typed, code, reaches=reaches, **options)


def test_of_a_data_set_without_a_preset(heed: Heed, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a plugin's has none."""
    others = [name for name in from_names.preset_names() if name != "shapes/base"]
    monkeypatch.setattr(from_names, "preset_names", lambda: others)
    heed("train --dataset shapes --depth 8 --dry-run", 2, reaches=["spec/from_names.py list_presets"])


def test_of_a_run_of_another_spec(heed: Heed, place: Path) -> None:
    """Two specs whose fingerprints begin alike, or a folder that was renamed."""
    changes = {"model.depth": 8, "model.width": 4, "iterations": 2, "data.batch_size": 8, "precision": "fp32"}
    changes |= {f"data.dataset.{key}": 20 for key in ("num_train", "num_val", "num_test")}
    other = library.spec("shapes/base", {**changes, "seed": 9})
    nets = [library.spec("shapes/base", {**changes, "seed": seed}) for seed in (0, 1)]
    for number, spec in enumerate(nets):
        (place / f"{number}.toml").write_text(to_toml(spec.to_dict()))
    run = QueuedRun.below(place / "runs", nets[0]).path
    run.mkdir(parents=True)
    (run / "spec.toml").write_text(to_toml(other.to_dict()))
    typed = "compare 0.toml 1.toml --device cpu -q --out compared"
    heed(typed, 2, reaches=["studies/queued_run.py runs"], DIR="others")


def test_of_emulated_bf16(heed: Heed, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics, "_multiplies_bf16", lambda _device: False)
    says = r"(--precision \w+) is faster"
    heed(f"{SHAPES} --precision bf16", 0, reaches=["hardware/numerics.py precision"], says=says)


def test_of_an_unnamed_folder_to_time(heed: Heed, photos: Path) -> None:
    typed = (
        "bench resnet-18 --dataset imagefolder --set data.dataset.image_size=64 --set model.width=4 "
        "--contender bare-step --window 0.1 --rounds 2 --device cpu --batch-size 2 --threads 1"
    )
    heed(typed, 3, reaches=["spec/data_root.py data_root"], DIR="photos")
