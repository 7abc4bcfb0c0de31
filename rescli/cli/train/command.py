"""``rescli train``: argv -> spec -> run directory -> training -> record."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from rescli.checkpoints.locate import named_checkpoint
from rescli.cli.launch import end, is_restart, launched, run_in_processes
from rescli.cli.output.messages import say
from rescli.errors import UsageError

__all__ = ["train"]


def train(
    preset: Annotated[
        str | None, typer.Argument(help="A preset (rescli presets) or a .toml file.", show_default=False)
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set: one of rescli data, or a plugin's.")] = None,
    model: Annotated[str | None, typer.Option(help="Network: resnet-N or plain-N.", metavar="NAME")] = None,
    depth: Annotated[
        int | None, typer.Option(help="Layers of a ResNet: 6n+2 on 32x32 images; 18 34 50 101 152.")
    ] = None,
    shortcut: Annotated[
        str | None, typer.Option(help="Where the size changes: A pads, B projects; C always projects.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(help="Stop after so many; milestones stay where they are.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per iteration.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides initial weights, order, crops and flips.")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Shorten the whole schedule to fit, for example 20m.", metavar="TIME")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any key of the spec, repeatable: optimizer.lr=0.05", metavar="KEY=VALUE"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[
        str | None, typer.Option(help="auto, fp32, bf16 or fp16, of the convolutions.")
    ] = None,
    engine: Annotated[
        Literal["auto", "eager", "graph", "compile"] | None,
        typer.Option(help="What launches the steps; graph needs CUDA. Unset: auto, or as the run began."),
    ] = None,
    kernels: Annotated[
        Literal["auto", "triton", "native", "plain"] | None,
        typer.Option(
            help="triton (CUDA), native (CPU, compiled C) or plain torch. Unset: auto, or as begun."
        ),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(help="Where the data lies; else RESCLI_DATA, else the cache.", metavar="DIR"),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Begin with its weights; another head where classes differ.", metavar="CKPT"
        ),
    ] = None,
    nproc: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train in so many processes of this machine, one a GPU; the batch is shared."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that decode photographs. Unset: what suits the device."),
    ] = None,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Go on without photographs that cannot be decoded.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Run directory; new or empty.", metavar="RUN_DIR")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on where this run was stopped.", metavar="RUN_DIR")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print spec, plan and ledger, then stop.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a network; leaves a run directory with checkpoints, metrics, curves and a record.

    rescli train quickstart
    rescli train --dataset cifar10 --depth 110
    rescli train --resume runs/NAME
    """
    from rescli.checkpoints.header import warm_start_from
    from rescli.cli.output.durations import parse_seconds
    from rescli.cli.train.session import Session, new_path
    from rescli.spec.from_names import Choice, choose_spec

    choice = Choice(
        preset=preset,
        dataset=dataset,
        model=model,
        depth=depth,
        shortcut=shortcut,
        iterations=iterations,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        overrides=[*(set_ or []), *(["data.skip_damaged=true"] if skip_damaged else [])],
        start_from=warm_start_from(named_checkpoint(from_)) if from_ is not None else None,
    )
    seconds = parse_seconds(budget) if budget is not None else None
    first = int(os.environ.get("RANK", "0")) == 0
    session = Session(
        data_root=data_root,
        device=device,
        engine=engine,
        kernels=kernels,
        quiet=quiet or not first,
        workers=workers,
        first=first,
    )
    if nproc is not None and launched():
        raise UsageError("--nproc does not go with torchrun, which says how many processes there are.")
    if launched() and budget is not None:
        raise UsageError("--budget times a step in one process; with several, give --iterations.")
    if resume is not None:
        _refuse_with_resume(out=out, budget=budget, dry_run=dry_run)
        if nproc is not None:
            run_in_processes(nproc, sys.argv[1:], resume)
        record = session.go_on(resume, choice)
    else:
        used, spec = choose_spec(choice)
        spec = spec.resolved(data_root)
        if dry_run:
            from rescli.cli.train.dry_run import print_dry_run

            print_dry_run(used, spec, budget=budget, as_json=json)
            return
        if not session.quiet:
            say(f"preset {used}")
        if nproc is not None:
            if budget is not None:
                raise UsageError("--budget times a step in one process; with --nproc, give --iterations.")
            run_in_processes(nproc, sys.argv[1:], new_path(spec, out))
        if launched() and out is None:
            raise UsageError("several processes need one run directory: --out RUN_DIR")
        if is_restart() and out is not None and (out / "spec.toml").is_file():
            record = session.go_on(out, Choice())
        else:
            record = session.begin(spec, out, seconds)
    from rescli.cli.output.results import print_record

    if first:
        print_record(record, as_json=json)
    if launched():
        from rescli.hardware.ranks import leave_ranks

        leave_ranks()
        end(0)


def _refuse_with_resume(**flags: object) -> None:
    from rescli.errors import UsageError

    given = [name.replace("_", "-") for name, value in flags.items() if value]
    if given:
        raise UsageError(
            f"--{given[0]} does not go with --resume: a resumed run keeps its directory and its plan."
        )
