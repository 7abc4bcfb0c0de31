"""Options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rescli.errors import SpecError

__all__ = [
    "AnyPrecision",
    "BatchSize",
    "Classes",
    "DataRoot",
    "Dataset",
    "DatasetKeys",
    "Device",
    "Engine",
    "EvalBatchSize",
    "EvalPrecision",
    "Iterations",
    "Json",
    "Kernels",
    "Overrides",
    "Quiet",
    "RunDataRoot",
    "Runs",
    "Seeds",
    "SharedBudget",
    "Threads",
]


def _key_and_value(context: typer.Context, pairs: list[str] | None) -> list[str] | None:
    for pair in pairs or ():
        key, equals, _ = pair.partition("=")
        if not (context.resilient_parsing or (equals and key.strip())):
            raise SpecError(f"--set {pair!r} is not KEY=VALUE.", hint="for example --set optimizer.lr=0.05")
    return pairs


AnyPrecision = Annotated[
    str | None, typer.Option(help="Precision of the convolutions: auto, fp32, bf16 or fp16.")
]
BatchSize = Annotated[int | None, typer.Option(help="Images per iteration. Unset: the preset's.")]
Classes = Annotated[
    Literal["same", "wnids", "names"],
    typer.Option(
        help="How the images' classes belong to the net's: the same, or some of them, found by their "
        "WordNet ids or by their names."
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Where the data lies. Unset: RESCLI_DATA, else the user's cache.", metavar="DIR"),
]
RunDataRoot = Annotated[
    Path | None,
    typer.Option(
        help="Where the data lies. Unset: where the run had it, RESCLI_DATA, else the user's cache.",
        metavar="DIR",
    ),
]
Dataset = Annotated[str | None, typer.Option(help="Data set: one of rescli data, or a plugin's.")]
Device = Annotated[str, typer.Option(help="Device to compute on: auto, cpu, cuda or mps.")]
Engine = Annotated[
    Literal["auto", "eager", "graph", "compile"] | None,
    typer.Option(help="What launches the steps; graph needs CUDA. Unset: auto, or as the run began."),
]
EvalBatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Inputs per forward pass. Counts are the same for any, measured in fp32 and bf16; a loss may "
        "differ in its last digits. Unset: 500, or 64 of 224x224 pixels.",
    ),
]
EvalPrecision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    typer.Option(help="Precision of the convolutions; auto: as trained, fp32 for imported weights."),
]
Iterations = Annotated[
    int | None, typer.Option(help="Stop after this many iterations; milestones stay where they are.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
Kernels = Annotated[
    Literal["auto", "triton", "native", "plain"] | None,
    typer.Option(
        help="Kernels: triton (CUDA), native (CPU, compiled C) or plain torch. Unset: auto, or as begun."
    ),
]
DatasetKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A key of the data set, repeatable: data.dataset.labels=names",
        metavar="KEY=VALUE",
        callback=_key_and_value,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any key of the spec, repeatable: optimizer.lr=0.05",
        metavar="KEY=VALUE",
        callback=_key_and_value,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Runs = Annotated[Path, typer.Option(help="Where run directories lie and are found again.", metavar="DIR")]
Seeds = Annotated[int, typer.Option(min=1, max=100, help="Runs of each net, with seeds 0, 1, ...")]
SharedBudget = Annotated[
    str | None,
    typer.Option(help="Shorten all schedules alike to fit all runs, for example 20m.", metavar="TIME"),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Threads of the CPU. Unset: one a core, or as the run began with."),
]
