"""Evaluation beside the bare forward pass of the same net, interleaved in one process.

    python benchmarks/bench_eval.py --depth 20 --rounds 9 --out benchmarks/results/eval-cpu.json
    python benchmarks/bench_eval.py --depth 20 --precision fp32 bf16 --compile
    python benchmarks/bench_eval.py --depth 50 --photos DIR_OF_CLASS_FOLDERS --images 96
    python benchmarks/bench_eval.py --changed-by-folding runs/NAME/checkpoints/last.safetensors

bare        the net in evaluation mode, on batches that are already normalised and on the device
folded      the same with batch normalisation folded into the convolutions
compiled    torch.compile of the bare net, and of the folded one
evaluation  everything from the uint8 set, or from the files of photographs, to the logits on the host

Random weights, and the embedded images at CIFAR's number: speed depends on neither. What folding changes
is counted on trained nets and the whole of their test sets, and not timed: classes, errors, loss, and the
largest error of a logit beside the same net in float64, on the first images.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rescli.bench.other_load import OtherLoadWatch
from rescli.bench.summary import spread
from rescli.checkpoints.checkpoint import Checkpoint
from rescli.data.folders.specs import ImageFolderSpec
from rescli.data.labelled_images import LabelledImages
from rescli.data.normalization import Normalization
from rescli.data.shapes.images import make_shapes
from rescli.evaluation.images.views import ViewBatch, view_batches
from rescli.evaluation.logits.predict import predict_views
from rescli.evaluation.protocols import Views, choose_protocol
from rescli.exporters.fold import fold_batch_norm
from rescli.hardware.device_name import device_name
from rescli.hardware.numerics import Numerics, choose_device, choose_precision
from rescli.models.resnet import cifar_resnet, imagenet_resnet
from rescli.runs.record import now, provenance


@dataclass(frozen=True, eq=False)
class Inputs:
    """Images and how a net sees them."""

    images: LabelledImages
    views: Views
    normalization: Normalization
    batch_size: int

    def batches(self, device: torch.device) -> Iterator[ViewBatch]:
        """Every image once."""
        return view_batches(
            self.images, self.views, self.normalization, batch_size=self.batch_size, device=device
        )

    def logits(self, model: nn.Module, numerics: Numerics, num_classes: int) -> Tensor:
        """Of every image, as an evaluation computes them: float32 (N, K) on the host."""
        return predict_views(
            model,
            self.batches(numerics.device),
            num_images=len(self.images),
            num_views=1,
            num_classes=num_classes,
            numerics=numerics,
        )[:, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--photos", type=Path, help="class folders below val/: the net is ImageNet's, at 224")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--batch-size", type=int, help="500, or 64 photographs")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=("auto", "fp32", "bf16", "fp16"))
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which takes minutes")
    parser.add_argument("--changed-by-folding", type=Path, nargs="+", metavar="CHECKPOINT", default=[])
    parser.add_argument("--data-root", type=Path, help="where its images lie")
    parser.add_argument("--float64-images", type=int, default=1000, help="images computed in float64 too")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    torch.manual_seed(0)
    every = [Numerics(device, choose_precision(name, device)) for name in arguments.precision]
    result = {"measured": now(), "device": device_name(every[0]), **provenance()}
    if arguments.changed_by_folding:
        result["what"] = "what folded batch normalisation changes in an evaluation"
        result["nets"] = [
            row for path in arguments.changed_by_folding for row in _changed(path, every, arguments)
        ]
    else:
        result["what"] = "evaluation, and batch normalisation folded, beside the bare forward pass"
        result |= _speeds(every, arguments)
    print(json.dumps(result, indent=2))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


def _speeds(every: list[Numerics], arguments: argparse.Namespace) -> dict[str, Any]:
    model, inputs = _photos(arguments) if arguments.photos else _small_images(arguments)
    watch = OtherLoadWatch()
    watch.begin()
    rows = [_race(model, inputs, numerics, arguments.rounds, arguments.compile, watch) for numerics in every]
    return {
        "other_load": watch.result(),
        "depth": arguments.depth,
        "photographs": arguments.photos is not None,
        "images": len(inputs.images),
        "batch_size": inputs.batch_size,
        "rounds": arguments.rounds,
        "speeds": rows,
    }


def _small_images(arguments: argparse.Namespace) -> tuple[nn.Module, Inputs]:
    images = make_shapes(seed=0, num_train=1, num_val=1, num_test=arguments.images, splits=("test",))["test"]
    normalization = Normalization.fit(images.images_NHWC, "per-pixel-mean")
    model = cifar_resnet(depth=arguments.depth)
    return model, Inputs(images, Views(), normalization, arguments.batch_size or 500)


def _photos(arguments: argparse.Namespace) -> tuple[nn.Module, Inputs]:
    spec = ImageFolderSpec().resolved(arguments.photos)
    images = spec.build(arguments.photos, ("val",))["val"]
    every = torch.linspace(0, len(images) - 1, min(arguments.images, len(images))).long()
    views = choose_protocol(None, spec).views(spec, image_size=224)
    mean = Normalization.fit(torch.full((1, 224, 224, 3), 118, dtype=torch.uint8), "per-pixel-mean")
    model = imagenet_resnet(depth=arguments.depth)
    return model, Inputs(images.subset(every), views, mean, arguments.batch_size or 64)


def _folded(model: nn.Module, side: int) -> nn.Module:
    """A copy in evaluation mode, channels-last."""
    folded = copy.deepcopy(model).eval()
    example = torch.zeros(1, 3, side, side, device=next(model.parameters()).device)
    fold_batch_norm(folded, example)
    return folded.to(memory_format=torch.channels_last)


def _race(
    model: nn.Module, inputs: Inputs, numerics: Numerics, rounds: int, compiling: bool, watch: OtherLoadWatch
) -> dict[str, Any]:
    """Images per second of each, and how many times as fast as the bare pass it is in the same round."""
    numerics.configure_backend()
    device = numerics.device
    model = model.eval().to(device).to(memory_format=torch.channels_last)
    num_classes = len(model.get_parameter("fc.bias"))
    ready = [batch.inputs for batch in islice(inputs.batches(device), 4)]
    nets: dict[str, Callable[[Tensor], Tensor]] = {"bare": model, "folded": _folded(model, ready[0].shape[2])}
    if compiling:
        nets |= {"compiled": torch.compile(nets["bare"]), "folded, compiled": torch.compile(nets["folded"])}
    full = [batch for batch in ready if len(batch) == len(ready[0])]
    num_batches = -(-len(inputs.images) // inputs.batch_size)

    def bare(net: Callable[[Tensor], Tensor]) -> int:
        with torch.inference_mode():
            for number in range(num_batches):
                with numerics.autocast():
                    logits = net(full[number % len(full)])
            logits.cpu()
        return num_batches * len(full[0])

    def evaluation() -> int:
        return len(inputs.logits(model, numerics, num_classes))

    contenders: dict[str, Callable[[], int]] = {
        name: lambda net=net: bare(net)  # type: ignore[misc]
        for name, net in nets.items()
    }
    contenders["evaluation"] = evaluation
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):  # the first warms up and is dropped
        for name in contenders if number % 2 else reversed(contenders):
            began = time.perf_counter()
            count = contenders[name]()
            if number:
                speeds[name].append(count / (time.perf_counter() - began))
            watch.sample()
    return {
        "precision": numerics.precision,
        "images_per_second": {name: round(statistics.median(values), 1) for name, values in speeds.items()},
        "times_as_fast_as_bare": {
            name: spread([one / other for one, other in zip(values, speeds["bare"], strict=True)], 3)
            for name, values in speeds.items()
            if name != "bare"
        },
    }


def _changed(path: Path, every: list[Numerics], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """What a trained net says of its test set, or where there is none of its val, plain and folded."""
    device = every[0].device
    checkpoint = Checkpoint.read(path)
    dataset = checkpoint.dataset
    split = "test" if "test" in dataset.splits(arguments.data_root) else "val"
    images = dataset.build(arguments.data_root, (split,))[split]
    views = choose_protocol(None, dataset).views(dataset, image_size=dataset.image_size)
    inputs = Inputs(images, views, checkpoint.normalization, images.evaluation_batch_size)
    plain = checkpoint.build_model().eval().to(device).to(memory_format=torch.channels_last)
    folded = _folded(plain, dataset.image_size)
    exact = _float64(plain, inputs, arguments.float64_images, device)
    found = []
    for numerics in every:
        numerics.configure_backend()
        one, other = (inputs.logits(net, numerics, len(checkpoint.class_names)) for net in (plain, folded))
        found.append(
            {
                "precision": numerics.precision,
                "model": checkpoint.model.name,
                "dataset": dataset.kind,
                "split": split,
                "num_images": len(images),
                "classes_changed": int((one.argmax(1) != other.argmax(1)).sum()),
                "largest_logit_difference": float((one - other).abs().max()),
                "largest_logit": float(one.abs().max()),
                "float64_images": len(exact),
                **_described("plain", one, images.labels_N, exact),
                **_described("folded", other, images.labels_N, exact),
            }
        )
    return found


def _float64(model: nn.Module, inputs: Inputs, least: int, device: torch.device) -> Tensor:
    """Logits of the first images by a second formula: the unfolded net in float64."""
    wide = copy.deepcopy(model).double()
    logits, count = [], 0
    with torch.inference_mode():
        for batch in inputs.batches(device):
            logits.append(wide(batch.inputs.double()).cpu())
            count += len(batch.inputs)
            if count >= least:
                break
    return torch.cat(logits)


def _described(name: str, logits_NK: Tensor, labels_N: Tensor, exact: Tensor) -> dict[str, float]:
    errors = 100 * (logits_NK.argmax(1) != labels_N).double().mean()
    return {
        f"{name}_top1_error": round(float(errors), 4),
        f"{name}_loss": float(F.cross_entropy(logits_NK.double(), labels_N)),
        f"{name}_largest_error_beside_float64": float((logits_NK[: len(exact)] - exact).abs().max()),
    }


if __name__ == "__main__":
    main()
