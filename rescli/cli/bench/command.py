"""``rescli bench``: images per second of the training loop, beside what others would write."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from rescli.cli.options import AnyPrecision, BatchSize, DataRoot, Device, Engine, Json, Kernels, Overrides

__all__ = ["bench"]


def bench(
    model: Annotated[str, typer.Argument(help="Network: resnet-N or plain-N.")],
    dataset: Annotated[str, typer.Option(help="Data set: cifar10, shapes, imagefolder, ...")] = "cifar10",
    batch_size: BatchSize = None,
    contender: Annotated[
        list[str] | None,
        typer.Option(
            help="Loop to time, repeatable: p1 p2 p3 p4 bare-step whole-loop loader timm. Unset: all that "
            "suit the device and the images.",
            metavar="NAME",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=2, help="How often each contender is timed, in turn.")] = 9,
    window: Annotated[
        float, typer.Option(min=0.01, help="Seconds for which each contender is timed in a round.")
    ] = 1.0,
    set_: Overrides = None,
    device: Device = "auto",
    precision: AnyPrecision = None,
    engine: Engine = "auto",
    kernels: Kernels = "auto",
    data_root: DataRoot = None,
    workers: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Processes of p1's DataLoader, beside one run without, repeatable. Unset: 4 and 16, or as "
            "many as there are cores.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the CPU, of all alike. Unset: one a core.")
    ] = None,
    json: Json = False,
) -> None:
    """Time the training loop, its parts, and the loops that others would write.

    Each contender runs in a process of its own, and all take turns. p1: the usual PyTorch loop with a
    DataLoader; p2: an expert's loop, all on the device; p3: that with torch.compile; p4: torch.compile within
    our CUDA graph; bare-step: our step without a loader; whole-loop: what rescli train does; loader: its
    batches alone. --engine counts for the whole loop, --kernels for the bare step too. On a CPU p3 and p4 run
    only where they are named, for compiling takes its time.

    The table also says what other programs took of the processors meanwhile (Linux), and how near the whole
    loop comes to the device's matrix product and copy; on a CPU in fp32 also with the fewer products of
    Winograd's convolutions.

    rescli bench resnet-20 --dataset cifar10 --batch-size 128
    """
    from rescli.cli.bench.output import bench_progress, print_bench
    from rescli.cli.output.wording import in_flags
    from rescli.spec.load import parse_overrides
    from rescli.workflows import bench as workflow

    said = {
        f"the engine {engine!r}": f"--engine {engine}",
        f"the kernels {kernels!r} do not": f"--kernels {kernels} does not",
    }
    with in_flags(said), bench_progress() as progress:
        made = workflow.bench(
            model,
            dataset,
            contenders=contender or (),
            rounds=rounds,
            window_seconds=window,
            batch_size=batch_size,
            changes=parse_overrides(set_ or ()),
            device=device,
            precision=precision,
            engine=engine or "auto",
            kernels=kernels or "auto",
            data_root=data_root,
            workers=workers or (),
            threads=threads,
            command=shlex.join(["rescli", *sys.argv[1:]]),
            progress=progress,
        )
    print_bench(made.record, as_json=json)
