"""How far a gradient of ResNet-56 is from float64's: torch's kernels, rescli's, and bf16 on the CPU.

    python benchmarks/evidence/gradients.py CHECKPOINT --json RESULT.json

CHECKPOINT is a trained ``resnet-56`` for CIFAR-10: initial weights and its trained ones are both measured.
The figure is the norm of the difference of all gradients over the norm of float64's, on batches of 128 real
images, augmented as in training.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from rescli.data.loader import DeviceLoader
from rescli.data.normalization import Normalization
from rescli.data.specs import Cifar10Spec
from rescli.files import write_atomically
from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import Numerics
from rescli.kernels.choice import use_kernels
from rescli.models.resnet import cifar_resnet
from rescli.runs.record import now
from rescli.training.engines.choose import choose_kernels

DEPTH, BATCH = 56, 128
STEPS = (0, 7)
"""Batches of the training's order."""
KINDS = {
    "torch fp32": ("plain", "fp32"),
    "rescli fp32": ("native", "fp32"),
    "rescli bf16": ("native", "bf16"),
}


def gradient(weights: dict[str, Tensor] | None, batch: tuple[Tensor, Tensor], kind: str | None) -> Tensor:
    """All gradients of one batch, flat, in float64; ``kind`` None computes in float64."""
    images, labels = batch
    model = cifar_resnet(depth=DEPTH, seed=0)
    if weights is not None:
        model.load_state_dict(weights)
    model.train()
    if kind is None:
        logits = model.double()(images.double())
    else:
        kernels, precision = KINDS[kind]
        numerics = Numerics(torch.device("cpu"), precision)
        model = model.to(memory_format=torch.channels_last)
        chosen = choose_kernels(kernels, numerics, engine="eager")
        use_kernels(model, chosen.name, chosen.convolutions)
        with numerics.autocast():
            logits = model(images.contiguous(memory_format=torch.channels_last))
        logits = logits.float()
    F.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.double().flatten() for p in model.parameters() if p.grad is not None])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()

    data_root = Path(os.environ["RESCLI_DATA"]) if "RESCLI_DATA" in os.environ else None
    (train,) = Cifar10Spec().build(data_root, ("train",)).values()
    normalization = Normalization.fit(train.images_NHWC, "per-pixel-mean")
    loader = DeviceLoader(train, normalization, batch_size=BATCH, seed=0, device="cpu", pad=4, flip=True)
    trained = load_file(options.checkpoint)
    trained = {name: trained[name] for name in cifar_resnet(depth=DEPTH).state_dict()}
    errors: dict[str, dict[str, list[float]]] = {}
    for when, weights in (("initial weights", None), ("trained weights", trained)):
        errors[when] = {kind: [] for kind in KINDS}
        for step in STEPS:
            exact = gradient(weights, loader.batch(step), None)
            for kind in KINDS:
                off = gradient(weights, loader.batch(step), kind) - exact
                errors[when][kind].append(float(off.norm() / exact.norm()))
                print(when, step, kind, f"{errors[when][kind][-1]:.1e}", flush=True)
    found = {
        "command": "python benchmarks/evidence/gradients.py CHECKPOINT --json RESULT.json",
        "what": "norm of (gradient - float64's) / norm of float64's, all parameters of resnet-56, CIFAR-10",
        "batch_size": BATCH,
        "batches": STEPS,
        "trained_weights": {
            "run": options.checkpoint.resolve().parents[1].name,
            "sha256": hashlib.sha256(options.checkpoint.read_bytes()).hexdigest(),
        },
        "relative_error": errors,
        "device": device_name(Numerics(torch.device("cpu"), "fp32")),
        "versions": {"torch": torch.__version__},
        "date": now(),
    }
    write_atomically(options.json, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
