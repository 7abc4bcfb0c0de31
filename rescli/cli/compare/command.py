"""``rescli compare``: nets side by side, and what the difference is worth."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from rescli.cli.options import (
    AnyPrecision,
    BatchSize,
    DataRoot,
    Dataset,
    Device,
    Iterations,
    Json,
    Overrides,
    Quiet,
    Runs,
    Seeds,
    SharedBudget,
    Threads,
)

__all__ = ["compare"]


def compare(
    operands: Annotated[
        list[str],
        typer.Argument(help="Model names, presets, run directories and checkpoints, mixed.", metavar="WHAT"),
    ],
    dataset: Dataset = None,
    seeds: Seeds = 1,
    iterations: Iterations = None,
    budget: SharedBudget = None,
    batch_size: BatchSize = None,
    set_: Overrides = None,
    to: Annotated[
        str | None,
        typer.Option(help="Also the published numbers: paper:table2, 3, 4 or 6.", metavar="paper:TABLE"),
    ] = None,
    runs: Runs = Path("runs"),
    out: Annotated[
        Path | None,
        typer.Option(help="Where the comparison is written; unset: below comparisons/.", metavar="DIR"),
    ] = None,
    data_root: DataRoot = None,
    device: Device = "auto",
    threads: Threads = None,
    precision: AnyPrecision = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare nets: error of each, test of the difference, curves. Finished runs are used again.

    rescli compare plain-14 plain-44 resnet-44 --dataset shapes

    rescli compare plain-20 resnet-20 --seeds 5 --to paper:table6
    """
    from rescli.cli.compare.output import print_comparison
    from rescli.cli.launch import refuse_lone_copies
    from rescli.cli.output.messages import PACK
    from rescli.cli.signals import stop_requested
    from rescli.report.progress.study import study_progress
    from rescli.spec.load import parse_overrides
    from rescli.workflows.compare import compare as run

    refuse_lone_copies(out, of_one_run=False)
    found = run(
        operands,
        dataset=dataset,
        seeds=seeds,
        iterations=iterations,
        budget=budget,
        batch_size=batch_size,
        precision=precision,
        changes=parse_overrides(set_ or ()),
        to=to,
        runs=runs,
        out=out,
        data_root=data_root,
        device=device,
        threads=threads,
        progress=partial(study_progress, quiet=quiet, plan=not quiet, pack=PACK),
        stopping=stop_requested,
    )
    print_comparison(found, as_json=json)
