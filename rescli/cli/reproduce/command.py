"""``rescli reproduce``: a table or figure of the paper, ours beside theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from rescli.cli.options import DataRoot, Device, Json, Overrides, Quiet, Runs, Seeds, SharedBudget, Threads
from rescli.cli.reproduce.status import print_status, reason_in_flags, refuse_beside_status

if TYPE_CHECKING:
    from rescli.report.reproduction import Reproduction
    from rescli.studies.events import StudyEvent, StudySink
    from rescli.studies.rows import ReproductionRow

__all__ = ["reproduce"]


def reproduce(
    name: Annotated[
        str, typer.Argument(help="table2 to table6, fig1, fig4, fig6 or fig7.", metavar="TARGET")
    ],
    seeds: Seeds = 1,
    only: Annotated[
        list[str] | None,
        typer.Option(help="These nets alone, repeatable, as the table calls them.", metavar="NET"),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Train what is missing, or gather what is finished.")
    ] = True,
    budget: SharedBudget = None,
    set_: Overrides = None,
    runs: Runs = Path("runs"),
    out: Annotated[
        Path | None, typer.Option(help="Where it is written; unset: reproductions/TARGET.", metavar="DIR")
    ] = None,
    data_root: DataRoot = None,
    device: Device = "auto",
    threads: Threads = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print plan and cost, then stop.")] = False,
    status: Annotated[
        bool,
        typer.Option("--status", help="Show how far each run is, also while they train, then stop."),
    ] = False,
    import_runs: Annotated[
        list[Path] | None,
        typer.Option(
            help="Take in finished runs of another machine first, checked: a run directory or a folder of "
            "them, repeatable.",
            metavar="DIR",
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Reproduce a table or figure of the paper. Interrupted, the same command goes on; nothing is done twice.

    rescli reproduce table6 --seeds 5 --dry-run

    rescli reproduce table6 --status

    rescli reproduce fig7 --only plain-20 --only resnet-20
    """
    from rescli.spec.load import parse_overrides

    if status:
        from rescli.workflows.listings.reproduction_status import reproduction_status

        refuse_beside_status(budget=budget, dry_run=dry_run, train=train)
        shown = reproduction_status(
            name,
            seeds=seeds,
            only=only or (),
            changes=parse_overrides(set_ or ()),
            runs=runs,
            import_runs=import_runs or (),
            data_root=data_root,
        )
        print_status(shown, as_json=json)
        shown.require_all_taken()
        return
    from rescli.cli.launch import refuse_lone_copies
    from rescli.cli.signals import stop_requested
    from rescli.workflows.reproduce import reproduce as run

    refuse_lone_copies(out, of_one_run=False)
    found = run(
        name,
        seeds=seeds,
        only=only or (),
        train=train,
        budget=budget,
        changes=parse_overrides(set_ or ()),
        runs=runs,
        out=out,
        data_root=data_root,
        device=device,
        threads=threads,
        dry_run=dry_run,
        import_runs=import_runs or (),
        progress=partial(_progress_in_flags, quiet=quiet, plan=not quiet or (dry_run and not json)),
        stopping=stop_requested,
    )
    if dry_run:
        if json:
            _print_plan(_saved_in_flags(found))
        return
    _print(_saved_in_flags(found), as_json=json)
    found.require_all_taken()


@contextmanager
def _progress_in_flags(*, quiet: bool, plan: bool) -> Iterator[StudySink]:
    """The study on the screen, its plan with reasons in the words of the command line."""
    from rescli.cli.output.messages import PACK
    from rescli.report.progress.study import study_progress
    from rescli.studies.events import PlanMade

    with study_progress(quiet=quiet, plan=plan, pack=PACK) as shown:

        def show(event: StudyEvent) -> None:
            if isinstance(event, PlanMade):
                not_run = tuple((label, reason_in_flags(reason)) for label, reason in event.not_run)
                event = replace(event, not_run=not_run)
            shown(event)

        yield show


def _saved_in_flags(found: Reproduction) -> Reproduction:
    """The same in the words of the command line, and written so where that makes a difference."""
    not_run = {label: reason_in_flags(reason) for label, reason in found.not_run.items()}
    if not_run == found.not_run:
        return found
    rows = tuple({**row, "not_run": row["not_run"] and reason_in_flags(row["not_run"])} for row in found.rows)
    worded = replace(found, not_run=not_run, rows=cast("tuple[ReproductionRow, ...]", rows))
    if found.out is not None:
        worded.save(found.out)
    return worded


def _print_plan(found: Reproduction) -> None:
    from rescli.cli.output.results import print_json

    rows = [
        {
            "run": str(planned.run.path),
            "status": planned.status,
            "iterations": planned.run.spec.iterations,
            "cpu_train_seconds": planned.cpu_train_seconds,
        }
        for planned in found.plan
    ]
    print_json({"target": found.item.name, "plan": rows, "not_run": dict(found.not_run)})


def _print(found: Reproduction, *, as_json: bool) -> None:
    from rescli.cli.output.results import print_json

    if as_json:
        print_json({**found.to_dict(), "out": str(found.out)})
        return
    print(f"{found.item.title} ({found.item.source}); protocol {found.protocol}\n")
    print(found.table())
    print(f"\nwritten to {found.out}")
