"""Evaluation beside the bare forward pass of the same net, interleaved in one process.

    python benchmarks/bench_eval.py --depth 20 --rounds 9 --out benchmarks/results/eval-cpu.json

Random weights and the embedded images at CIFAR's number: speed depends on neither. The bare pass runs the
same model in the same precision on batches that are already normalised and on the device; the evaluation
is everything from the uint8 set to the logits on the host.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from rescli.data.normalization import Normalization
from rescli.data.shapes.images import make_shapes
from rescli.evaluation.images.views import view_batches
from rescli.evaluation.logits.predict import predict_views
from rescli.evaluation.protocols import Views
from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import Numerics, choose_device, choose_precision
from rescli.models.resnet import cifar_resnet
from rescli.runs.record import now, provenance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32", choices=("auto", "fp32", "bf16", "fp16"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    numerics = Numerics(device, choose_precision(arguments.precision, device))
    numerics.configure_backend()
    images = make_shapes(seed=0, num_train=1, num_val=1, num_test=arguments.images, splits=("test",))["test"]
    normalization = Normalization.fit(images.images_NHWC, "per-pixel-mean")
    model = cifar_resnet(depth=arguments.depth).eval().to(device).to(memory_format=torch.channels_last)
    size = arguments.batch_size
    ready = [normalization.apply(part.to(device)) for part in torch.split(images.images_NHWC, size)[:4]]
    starts = range(0, len(images), size)

    def bare() -> None:
        with torch.inference_mode():
            for number in range(len(starts)):
                with numerics.autocast():
                    logits = model(ready[number % len(ready)])
            logits.cpu()

    def evaluation() -> None:
        views = Views()
        batches = view_batches(images, views, normalization, batch_size=size, device=device)
        predict_views(model, batches, num_images=len(images), num_views=1, num_classes=10, numerics=numerics)

    contenders = {"bare": bare, "evaluation": evaluation}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(arguments.rounds + 1):  # the first warms up and is dropped
        for name in contenders if number % 2 else reversed(contenders):
            began = time.perf_counter()
            contenders[name]()
            if number:
                seconds[name].append(time.perf_counter() - began)
    ratios = [b / e for b, e in zip(seconds["bare"], seconds["evaluation"], strict=True)]
    result = {
        "what": "evaluation beside the bare forward pass",
        "measured": now(),
        "device": device_name(numerics),
        "precision": numerics.precision,
        "depth": arguments.depth,
        "images": len(images),
        "batch_size": size,
        "rounds": arguments.rounds,
        "images_per_second": {
            name: round(len(images) / statistics.median(values)) for name, values in seconds.items()
        },
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_quartiles": [round(q, 3) for q in statistics.quantiles(ratios, n=4)[::2]],
        **provenance(),
    }
    print(json.dumps(result, indent=2))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
