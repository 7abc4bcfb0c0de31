"""The errors of the same nets by each test protocol, image by image, and what selection does to a number.

    git -C pytorch_resnet_cifar10 show HEAD:pretrained_models/resnet20-12fca82f.th > resnet20.th
    rescli import resnet20.th --model resnet-20 --dataset cifar10 --out resnet20.safetensors
    python benchmarks/bench_protocols.py resnet20.safetensors \\
        --members resnet20.safetensors resnet56.safetensors --out results.json
    python benchmarks/bench_protocols.py --photos runs/NAME --data-root photos --out results.json

Each net by each protocol, averaging probabilities and logits; and an ensemble of several. Beside every error
stands how many images a protocol mends and spoils, against the single view.
``--metrics`` reads the validation errors of finished runs: the last, the mean and the lowest since the
learning rate was last divided, which is what choosing by the same images gains.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import rescli
from rescli.evaluation.protocols import AVERAGES
from rescli.runs.record import now, provenance
from rescli.studies.statistics.significance import compare_predictions

SMALL_IMAGES = ("single", "flip", "ten-crop", "multi-scale")
PHOTOGRAPHS = (None, "flip", "ten-crop", "multi-scale")
KEPT = (
    "model",
    "checkpoint",
    "split",
    "protocol",
    "protocol_text",
    "num_views",
    "average",
    "num_images",
    "top1_error",
    "top5_error",
    "interval95",
    "loss",
    "calibration_error",
    "precision",
    "device",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("nets", nargs="*", help="checkpoints or run directories, by every protocol")
    parser.add_argument("--members", nargs="+", default=[], help="nets of an ensemble, by single and flip")
    parser.add_argument(
        "--photos", action="store_true", help="nets of photographs: the single view is a crop"
    )
    parser.add_argument("--split", default="test")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--source", default="", help="where the weights are from, in words")
    parser.add_argument("--metrics", nargs="*", type=Path, default=[], metavar="FILE.jsonl.gz")
    parser.add_argument(
        "--since", type=int, default=48_000, help="the iteration from which errors are compared"
    )
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    result = {
        "measured": now(),
        **provenance(),
        "processor": {"cores": os.cpu_count(), "instructions": torch.backends.cpu.get_cpu_capability()},
        "what": "errors of the same nets by each protocol",
        "command": " ".join(["python benchmarks/bench_protocols.py", *sys.argv[1:]]),
        "source": arguments.source,
        "rows": [
            *_rows(arguments, arguments.nets, PHOTOGRAPHS if arguments.photos else SMALL_IMAGES),
            *_rows(arguments, arguments.members, SMALL_IMAGES[:2]),
        ],
        "selection": [_selection(path, arguments.since) for path in arguments.metrics],
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def _rows(
    arguments: argparse.Namespace, nets: list[str], protocols: Sequence[str | None]
) -> list[dict[str, Any]]:
    rows = []
    before: dict[str, Any] = {}
    for protocol in protocols if nets else ():
        for average in AVERAGES:
            found = rescli.evaluate(
                nets,
                split=arguments.split,
                protocol=protocol,
                average=average,
                ensemble=nets is arguments.members,
                data_root=arguments.data_root,
                progress=False,
            )
            for result in found.results:
                row: dict[str, Any] = {key: result.row.get(key) for key in KEPT}
                alone = isinstance(row["checkpoint"], str)
                if alone and row["num_views"] == 1 and average != AVERAGES[0]:
                    continue  # one view has no average
                wrong = (result.log_probabilities_NK.argmax(1) != result.labels_N).numpy()
                single = before.setdefault(f"{row['checkpoint']} {average if not alone else ''}", wrong)
                row["wrong"] = int(wrong.sum())
                pair = compare_predictions(single, wrong)
                row |= {"mended": pair.only_first_wrong, "spoiled": pair.only_second_wrong}
                row["p_mcnemar"] = pair.p_mcnemar
                rows.append(row)
                print(row["model"], row["protocol"], row["average"], row["top1_error"], flush=True)
    return rows


def _selection(path: Path, since: int) -> dict[str, Any]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    late = [row for row in rows if row["event"] == "val" and row["iteration"] > since]
    errors = [row["top1_error"] for row in late]
    return {
        "metrics": path.name,
        "since": since,
        "num_images": late[-1]["num_images"],
        "evaluations": len(errors),
        "last": errors[-1],
        "mean": statistics.mean(errors),
        "std": statistics.stdev(errors),
        "lowest": min(errors),
        "highest": max(errors),
    }


if __name__ == "__main__":
    main()
