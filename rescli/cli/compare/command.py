"""``rescli compare``: train what is missing, test everything alike, and say what the difference is worth."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rescli.cli.output.messages import say
from rescli.errors import DataError, UsageError

if TYPE_CHECKING:
    from rescli.spec.run import RunSpec
    from rescli.studies.operands import Operand
    from rescli.studies.published import PublishedTable
    from rescli.studies.queue import CampaignRun

__all__ = ["compare"]


def compare(
    operands: Annotated[
        list[str],
        typer.Argument(
            help="Model names, presets, run directories and checkpoints, mixed.", metavar="WHAT..."
        ),
    ],
    dataset: Annotated[str | None, typer.Option(help="Data set of the model names; cifar10.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Runs of each, seeds 0, 1, ...")] = 1,
    iterations: Annotated[
        int | None, typer.Option(help="Stop after so many; milestones stay where they are.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Shorten all schedules alike to fit all runs, for example 20m.", metavar="TIME"),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per iteration.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any key of all specs, repeatable.", metavar="KEY=VALUE"),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="Also the published numbers: paper:table2, 3, 4 or 6.", metavar="paper:TABLE"),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where runs lie and are found again.", metavar="DIR")] = Path(
        "runs"
    ),
    out: Annotated[
        Path | None,
        typer.Option(help="Where the comparison is written; unset: below comparisons/.", metavar="DIR"),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(help="Where the data lies; else RESCLI_DATA, else the cache.", metavar="DIR"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[
        str | None, typer.Option(help="auto, fp32, bf16 or fp16, of the convolutions.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Compare nets: error of each, test of the difference, curves. Finished runs are used again.

    rescli compare plain-56 resnet-56 --dataset shapes --budget 4m

    rescli compare plain-20 resnet-20 --seeds 5 --to paper:table6
    """
    from rescli.cli.output.durations import parse_seconds
    from rescli.cli.reproduce.campaigns import print_plan, scale_within_budget, train_campaign
    from rescli.spec.from_names import Choice
    from rescli.studies.operands import read_operand

    if len(operands) < 2:
        raise UsageError("a comparison needs two things or more.", hint="rescli compare plain-20 resnet-20")
    if len(set(operands)) < len(operands):
        raise UsageError("the same thing was named twice.")
    table = _published(to)
    seconds = parse_seconds(budget) if budget is not None else None
    choice = Choice(
        dataset=dataset,
        iterations=iterations,
        batch_size=batch_size,
        precision=precision,
        overrides=set_ or [],
    )
    read = [read_operand(operand, choice) for operand in operands]
    out = out or Path("comparisons") / _name(read, seeds, budget)
    wanted = _specs(read, seeds)
    if wanted and seconds is not None:
        specs = [spec for group in wanted.values() for spec in group]
        scaled = iter(scale_within_budget(specs, seconds, out, data_root, device, quiet=quiet))
        wanted = {label: [next(scaled) for _ in group] for label, group in wanted.items()}
    planned = _planned(wanted, runs)
    # Seed by seed, so that an interrupted comparison has every contender as often as another.
    queue = [group[seed] for seed in range(seeds if planned else 0) for group in planned.values()]
    if queue:
        if not quiet:
            print_plan(queue)
        train_campaign(queue, data_root=data_root, device=device, quiet=quiet)
    result = _compare(read, planned, table, data_root=data_root, device=device, quiet=quiet)
    from rescli.report.comparison_files import write_comparison

    logs = write_comparison(out, result)
    from rescli.cli.compare.output import print_comparison

    print_comparison({**result, "out": str(out)}, logs, as_json=json)


def _published(to: str | None) -> PublishedTable | None:
    from rescli.studies.published import published_table, published_tables

    if to is None:
        return None
    source, _, name = to.partition(":")
    if source != "paper":
        raise UsageError(
            f"--to {to}: only the paper's tables are known: "
            + ", ".join(f"paper:{table}" for table in published_tables())
        )
    return published_table(name)


def _name(read: Sequence[Operand], seeds: int, budget: str | None) -> str:
    """The same for the same command, so that one that was interrupted finds its files again."""
    digest = hashlib.sha256(f"{seeds} {budget}".encode())
    for operand in read:
        digest.update(
            operand.spec.fingerprint().encode() if operand.spec else str(operand.checkpoint).encode()
        )
    labels = "-vs-".join(operand.label.replace("/", "-") for operand in read)
    return f"{labels[:80]}-{digest.hexdigest()[:8]}"


def _specs(read: Sequence[Operand], seeds: int) -> dict[str, list[RunSpec]]:
    """Per operand to be trained, one spec a seed."""
    return {
        operand.label: [operand.spec.model_copy(update={"seed": seed}) for seed in range(seeds)]
        for operand in read
        if operand.spec is not None
    }


def _planned(wanted: dict[str, list[RunSpec]], runs: Path) -> dict[str, list[CampaignRun]]:
    if not wanted:
        return {}
    from rescli.studies.queue import CampaignRun

    return {label: [CampaignRun.below(runs, spec) for spec in group] for label, group in wanted.items()}


def _compare(
    read: Sequence[Operand],
    planned: dict[str, list[CampaignRun]],
    table: PublishedTable | None,
    *,
    data_root: Path | None,
    device: str,
    quiet: bool,
) -> dict[str, Any]:
    from rescli.cli.eval.output import eval_progress
    from rescli.evaluation.logits_cache import LogitsCache
    from rescli.runs.directory import RunDir
    from rescli.runs.evaluator import Evaluator
    from rescli.runs.record import provenance
    from rescli.studies.comparison import Contender, compare_contenders
    from rescli.studies.verdict import verdict

    contenders = []
    for operand in read:
        paths = (
            [operand.checkpoint]
            if operand.checkpoint is not None
            else [RunDir(run.path).last for run in planned[operand.label]]
        )
        contenders.append(Contender(operand.label, tuple(paths)))
    if not quiet:
        say("testing ...")

    def evaluator(split: str) -> Evaluator:
        return Evaluator(
            split=split,
            protocol=None,
            average="probabilities",
            dataset=None,
            matching="same",
            data_root=data_root,
            device=device,
            precision="auto",
            batch_size=None,
            cache=LogitsCache.of_user(),
        )

    test, train = evaluator("test"), evaluator("train")
    with eval_progress() as progress:
        if not quiet:
            test.progress = train.progress = progress
        result = compare_contenders(contenders, test=test, train=train, published=table)
    for pair in result["pairs"]:
        pair["verdict"] = verdict(pair)
    for one in result["contenders"]:
        one["responses"] = _responses(one, data_root, device)
    return {**result, **provenance()}


def _responses(one: dict[str, Any], data_root: Path | None, device: str) -> dict[str, Any] | None:
    """Of the first seed; None, with a line that says why, where the net or the set has none to show."""
    from rescli.studies.responses import measure_responses

    try:
        return dict(measure_responses(Path(one["runs"][0]["checkpoint"]), None, data_root, device, 250))
    except (UsageError, DataError) as error:
        say(f"{one['label']}: no layer responses: {error}")
        return None
