"""``rescli bench``: images per second of the training loop, beside what others would write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rescli.errors import UsageError

if TYPE_CHECKING:
    from rescli.bench.race import Entry
    from rescli.spec.run import RunSpec

__all__ = ["bench"]

_NEVER = 10**9


def bench(
    model: Annotated[str, typer.Argument(help="Network: resnet-N or plain-N.")],
    dataset: Annotated[str, typer.Option(help="Data set: cifar10, shapes, imagefolder, ...")] = "cifar10",
    batch_size: Annotated[int | None, typer.Option(help="Images per iteration; else the preset's.")] = None,
    contender: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these, repeatable: p1 p2 p3 p4 bare-step whole-loop loader timm.",
            metavar="NAME",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=2, help="How often each is timed, in turn.")] = 9,
    window: Annotated[
        float, typer.Option(min=0.01, help="Seconds for which each is timed in a round.")
    ] = 1.0,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any key of the spec, repeatable.", metavar="KEY=VALUE")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str | None, typer.Option(help="auto, fp32, bf16 or fp16.")] = None,
    engine: Annotated[
        Literal["auto", "eager", "graph", "compile"], typer.Option(help="Of the whole loop.")
    ] = "auto",
    kernels: Annotated[
        Literal["auto", "triton", "native", "plain"],
        typer.Option(help="Of the whole loop and the bare step."),
    ] = "auto",
    data_root: Annotated[
        Path | None,
        typer.Option(help="Where the data lies; else RESCLI_DATA, else the cache.", metavar="DIR"),
    ] = None,
    workers: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Of p1's DataLoader beside none, repeatable; else 4 and 16, or the cores."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the CPU; else torch's choice.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Time the training loop, its parts, and loops that others would write, in one interleaved run.

    Each contender runs in a process of its own. p1: the usual PyTorch loop with a DataLoader; p2: an expert's
    loop, all on the device; p3: that with torch.compile; p4: torch.compile within our CUDA graph; bare-step:
    our step without a loader; whole-loop: what rescli train does; loader: its batches alone. On a CPU p3 and
    p4 run only where they are named, for compiling takes its time.

    rescli bench resnet-20 --dataset cifar10 --batch-size 128
    """
    from rescli.bench.race import race
    from rescli.bench.summary import summarize
    from rescli.cli.bench.output import bench_progress, print_bench
    from rescli.runs.drive import numerics_for
    from rescli.spec.from_names import Choice, choose_spec
    from rescli.training.engines.choose import check_engine, choose_kernels

    never = [f"{key}={_NEVER}" for key in ("iterations", "evaluation.every", "checkpoint.every")]
    _, spec = choose_spec(
        Choice(
            dataset=dataset,
            model=model,
            batch_size=batch_size,
            precision=precision,
            overrides=[*never, *(set_ or [])],
        )
    )
    spec = spec.resolved(data_root)
    numerics = numerics_for(spec, device)
    check_engine(engine, numerics)
    if kernels not in ("auto", "plain"):
        choose_kernels(kernels, numerics, engine=engine)
    entries = _entries(spec, contender, numerics.device.type, workers)
    # What is missing or must be downloaded is told once, and not by each contender.
    spec.data.dataset.build(data_root, ("train",))
    request: dict[str, Any] = {
        "spec": spec.to_dict(),
        "device": str(numerics.device),
        "precision": numerics.precision,
        "engine": engine,
        "kernels": kernels,
        "data_root": str(data_root) if data_root is not None else None,
        "threads": threads,
    }
    with bench_progress() as progress:
        lanes = race(entries, request, rounds=rounds, window_seconds=window, progress=progress)
    print_bench(summarize(lanes, spec, numerics, rounds=rounds), as_json=json)


def _entries(spec: RunSpec, named: list[str] | None, device: str, workers: list[int] | None) -> list[Entry]:
    from rescli.bench.race import Entry

    photographs = spec.data.dataset.any_size
    known = ("bare-step", "whole-loop", "loader", "timm") if photographs else (
        "p1", "p2", "p3", "p4", "bare-step", "whole-loop", "loader"
    )  # fmt: skip
    # Compiling on a CPU takes minutes: only where it is asked for. Of p4 there is none without a graph.
    unasked = [name for name in known if device == "cuda" or name not in ("p3", "p4")]
    chosen = named if named else unasked
    if unknown := [name for name in chosen if name not in known]:
        raise UsageError(
            f"no contender {unknown[0]!r} on {spec.data.dataset.kind}; there are: {', '.join(known)}."
        )
    cores = os.cpu_count() or 1
    counts = sorted({0, *(workers or [min(4, cores), min(16, cores)])})
    entries = []
    for name in dict.fromkeys(chosen):
        if name == "p1":
            entries += [Entry(f"p1-w{count}", "p1", count) for count in counts]
        else:
            entries.append(Entry(name, name, None))
    return entries
