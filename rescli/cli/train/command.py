"""``rescli train``: argv -> spec -> run directory -> training -> record."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

import typer

from rescli.checkpoints.locate import named_checkpoint
from rescli.cli.launch import end, handed_spec, refuse_lone_copies
from rescli.cli.options import (
    AnyPrecision,
    BatchSize,
    DataRoot,
    Dataset,
    Device,
    Engine,
    Iterations,
    Json,
    Kernels,
    Overrides,
    Quiet,
    Threads,
)
from rescli.cli.signals import StopFlag, stop_requested
from rescli.cli.train.processes import Launcher
from rescli.errors import UsageError
from rescli.hardware.launcher import is_first, is_restart, launched

if TYPE_CHECKING:
    from rescli.spec.run import RunSpec
    from rescli.training.events import Sink
    from rescli.workflows.results.run import RunStart

__all__ = ["train"]


def train(
    preset: Annotated[
        str | None, typer.Argument(help="A preset (rescli presets) or a .toml file.", show_default=False)
    ] = None,
    dataset: Dataset = None,
    model: Annotated[str | None, typer.Option(help="Network: resnet-N or plain-N.", metavar="NAME")] = None,
    depth: Annotated[
        int | None, typer.Option(help="Layers of a ResNet: 6n+2 on 32x32 images; 18 34 50 101 152.")
    ] = None,
    shortcut: Annotated[
        str | None, typer.Option(help="Where the size changes: A pads, B projects; C always projects.")
    ] = None,
    iterations: Iterations = None,
    batch_size: BatchSize = None,
    seed: Annotated[int | None, typer.Option(help="Decides initial weights, order, crops and flips.")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Shorten the whole schedule to fit, for example 20m.", metavar="TIME")
    ] = None,
    set_: Overrides = None,
    device: Device = "auto",
    precision: AnyPrecision = None,
    engine: Engine = None,
    kernels: Kernels = None,
    data_root: DataRoot = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Begin with the weights of this checkpoint; another head where classes differ.",
            metavar="CKPT",
        ),
    ] = None,
    nproc: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train in this many processes of this machine, one a GPU; the batch is shared."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that decode photographs. Unset: as many as suit the device."),
    ] = None,
    threads: Threads = None,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Go on without photographs that cannot be decoded.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Run directory; new or empty.", metavar="RUN_DIR")] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on where this run was stopped; with more --iterations and --out, for longer.",
            metavar="RUN_DIR",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print spec, plan and ledger, then stop.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network into a run directory: checkpoints, metrics, curves and a record.

    rescli train quickstart

    rescli train --dataset cifar10 --depth 110

    rescli train --resume runs/NAME
    """
    from rescli.checkpoints.header import warm_start_from
    from rescli.cli.output.results import print_record
    from rescli.cli.train.messages import (
        is_idle,
        run_progress,
        say_oddities,
        say_preset,
        say_start,
        say_survey,
        say_what_data_cost,
    )
    from rescli.cli.train.refusals import changes_of_resume, new_path
    from rescli.durations import parse_seconds
    from rescli.report.progress.counting import counting
    from rescli.runs.where import Where
    from rescli.spec.from_names import Choice, choose_spec
    from rescli.spec.load import parse_override
    from rescli.workflows.results.planned_run import PlannedRun
    from rescli.workflows.running.ahead import begin_ahead
    from rescli.workflows.running.rehearsal import Rehearsal
    from rescli.workflows.running.together import plan_together
    from rescli.workflows.running.torch_import import importing_torch, preload_torch
    from rescli.workflows.spec import dry_run as plan_run

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
        overrides=[
            *map(parse_override, set_ or ()),
            *([("data.skip_damaged", True)] if skip_damaged else []),
        ],
        start_from=warm_start_from(named_checkpoint(from_)) if from_ is not None else None,
    )
    seconds = parse_seconds(budget) if budget is not None else None
    quiet = quiet or not is_first()
    if nproc is not None and launched():
        raise UsageError("--nproc does not go with torchrun, which says how many processes there are.")
    if nproc is not None and budget is not None:
        raise UsageError("--budget times a step in one process; with --nproc, give --iterations.")
    if nproc is None and not dry_run:
        refuse_lone_copies(resume or out)
    launcher = Launcher(nproc) if nproc is not None and not dry_run else None
    path, more, skipping = out, None, None
    if resume is not None:
        _refuse_with_resume(out=out if iterations is None else None, budget=budget, dry_run=dry_run)
        if launcher is not None:
            launcher.run(sys.argv[1:], resume)
        preload_torch()
        more, skipping = changes_of_resume(resume, choice, out)
        if more is None:
            _refuse_with_resume(out=out)
        path = resume
    else:
        used, spec = choose_spec(choice)
        if not dry_run and launcher is None and not launched():
            begin_ahead(spec, device=device, engine=engine, kernels=kernels)
        if (handed := handed_spec()) is not None:
            planned = PlannedRun.known(handed)
        else:
            with counting(False if quiet or json else None, unit="photographs", few=2000) as shown:
                # What is refused here did not wait for torch.
                survey = partial(
                    plan_run,
                    spec,
                    data_root=data_root,
                    progress=shown,
                    on_survey=partial(say_survey, parameters=_PARAMETERS, only_odd=quiet)
                    if is_first()
                    else None,
                    rehearsal=Rehearsal(
                        Where(device, data_root, workers, engine, kernels, threads), out, nproc or 1
                    )
                    if dry_run
                    else None,
                )
                planned = survey() if dry_run else plan_together(survey, spec, device, nproc)
        if dry_run:
            from rescli.cli.train.dry_run import print_dry_run

            print_dry_run(used, planned, budget=budget, as_json=json)
            return
        if handed is None and not quiet:
            say_preset(used, spec.model.name if choice.takes_net_of_start else None)
        if launched() and out is None:
            raise UsageError(
                "several processes need one run directory: --out RUN_DIR",
                page="port-in-use-or-world_size-left-over",
            )
        if handed is None and is_first() and not is_restart():
            say_oddities(planned.oddities(shortened=budget is not None))
        if launcher is not None:
            with new_path(spec, out) as new:
                launcher.run(sys.argv[1:], new, planned.spec)
    going_on = resume is not None or (is_restart() and out is not None and (out / "spec.toml").is_file())
    with importing_torch():
        from rescli.workflows.train import resume as continue_run
        from rescli.workflows.train import train as train_network

    idle = False

    def begun(start: RunStart) -> None:
        nonlocal idle
        idle = is_idle(start)
        if not quiet:
            say_start(start, seconds)

    options = Options(
        device=device,
        data_root=data_root,
        workers=workers,
        engine=engine,
        kernels=kernels,
        threads=threads,
        progress=False if quiet else run_progress,
        on_start=begun,
        stopping=partial(stop_requested, silent=not is_first()),
    )
    if going_on:
        assert path is not None
        longer = out if more is not None else None
        run = continue_run(path, skip_damaged=skipping, iterations=more, out=longer, **options)
    else:
        run = train_network(planned, out=out, budget=seconds, **options)
    if is_first():
        record = run.record
        if not quiet and not idle:
            say_what_data_cost(record)
        print_record({**record, "run_dir": str(run.path)}, as_json=json, splits=run.splits)
    if launched():
        from rescli.hardware.ranks import leave_ranks

        leave_ranks()
        end(0)


_PARAMETERS = inspect.signature(train).parameters.keys()


class Options(TypedDict):
    """What ``train`` and ``resume`` of the library both take."""

    device: str
    data_root: Path | None
    workers: int | None
    engine: str | None
    kernels: str | None
    threads: int | None
    progress: Literal[False] | Callable[[RunSpec, int], AbstractContextManager[Sink]]
    on_start: Callable[[RunStart], None]
    stopping: Callable[[], AbstractContextManager[StopFlag]]


def _refuse_with_resume(**flags: object) -> None:
    given = [name.replace("_", "-") for name, value in flags.items() if value]
    if given:
        raise UsageError(
            f"--{given[0]} does not go with --resume: a resumed run keeps its directory and its plan."
        )
