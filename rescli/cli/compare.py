"""``rescli compare``: train what is missing, test everything alike, and say what the difference is worth."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rescli.cli.messages import say
from rescli.errors import UsageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rescli.analysis.published import PublishedTable
    from rescli.cli.operands import Operand
    from rescli.runs.campaign import CampaignRun
    from rescli.spec.run import RunSpec
    from rescli.training.events import Sink

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
    from rescli.cli.choose import Choice
    from rescli.cli.durations import parse_seconds
    from rescli.cli.operands import read_operand

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
        wanted = _within_budget(wanted, seconds, out, data_root, device, quiet=quiet)
    planned = _planned(wanted, runs)
    if planned:
        _train(planned, data_root=data_root, device=device, quiet=quiet)
    result = _compare(read, planned, table, data_root=data_root, device=device, quiet=quiet)
    _write(out, result)
    from rescli.cli.compare_output import print_comparison

    print_comparison({**result, "out": str(out)}, as_json=json)


def _published(to: str | None) -> PublishedTable | None:
    from rescli.analysis.published import published_table, published_tables

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


def _within_budget(
    wanted: dict[str, list[RunSpec]],
    seconds: float,
    out: Path,
    data_root: Path | None,
    device: str,
    *,
    quiet: bool,
) -> dict[str, list[RunSpec]]:
    """All schedules shortened by one ratio: measured once, then read from ``out``, so that a comparison that
    was interrupted goes on with the same specs."""
    from rescli.cli.durations import format_seconds
    from rescli.files import read_json, write_json
    from rescli.runs.campaign import scale_together

    note = out / "budget.json"
    specs = [spec for group in wanted.values() for spec in group]
    key = [spec.fingerprint() for spec in specs]
    before = read_json(note) if note.is_file() else None
    if before is not None and before.get("specs") == key and before.get("budget_seconds") == seconds:
        ratio = float(before["ratio"])
    else:
        ratio = scale_together(specs, seconds, data_root=data_root, device=device)
        write_json(note, {"budget_seconds": seconds, "ratio": ratio, "specs": key})
    scaled = {
        label: [spec if ratio == 1 else spec.scaled(max(1, int(ratio * spec.iterations))) for spec in group]
        for label, group in wanted.items()
    }
    if not quiet:
        say(
            f"budget {format_seconds(seconds)} for {len(specs)} runs: schedules times {ratio:.4f}; "
            + ("not shortened" if ratio == 1 else "scaled: not comparable with published numbers")
        )
    return scaled


def _planned(wanted: dict[str, list[RunSpec]], runs: Path) -> dict[str, list[CampaignRun]]:
    if not wanted:
        return {}
    from rescli.runs.campaign import CampaignRun

    return {label: [CampaignRun.below(runs, spec) for spec in group] for label, group in wanted.items()}


def _train(
    planned: dict[str, list[CampaignRun]], *, data_root: Path | None, device: str, quiet: bool
) -> None:
    from rescli.cli.durations import format_seconds
    from rescli.cli.progress import training_progress
    from rescli.cli.signals import stop_requested
    from rescli.plan import estimate, make_plan
    from rescli.runs.campaign import train_missing

    # Seed by seed, so that an interrupted comparison has every contender as often as another.
    queue = [group[seed] for seed in range(len(next(iter(planned.values())))) for group in planned.values()]
    if not quiet:
        for run in queue:
            forecast = estimate(run.spec, make_plan(run.spec))
            cost = ""
            if forecast is not None and run.status != "finished":
                cost = f", about {format_seconds(forecast.cpu_train_seconds)} on this CPU"
            say(f"{run.status:<8}  {run.path}  {run.spec.iterations} iterations{cost}")

    def progress(spec: RunSpec, begin: int) -> AbstractContextManager[Sink]:
        if not quiet:
            say(f"{spec.name}: from iteration {begin} of {spec.iterations}")
        return training_progress(name=spec.name, total_steps=spec.iterations, start_step=begin, quiet=quiet)

    with stop_requested() as stop:
        train_missing(
            queue,
            data_root=data_root,
            device=device,
            progress=progress,
            should_stop=stop,
            preparing=stop.interrupting,
        )


def _compare(
    read: Sequence[Operand],
    planned: dict[str, list[CampaignRun]],
    table: PublishedTable | None,
    *,
    data_root: Path | None,
    device: str,
    quiet: bool,
) -> dict[str, Any]:
    from rescli.analysis.verdict import verdict
    from rescli.cli.eval_output import eval_progress
    from rescli.evaluation.logits_cache import LogitsCache
    from rescli.runs.comparison import Contender, compare_contenders
    from rescli.runs.evaluation import Evaluator
    from rescli.runs.rundir import RunDir

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
    return result


def _write(out: Path, result: dict[str, Any]) -> None:
    """compare.json, and curves.png and curves.svg where there are curves."""
    from rescli.files import write_atomically, write_json
    from rescli.report.comparison_figures import curves_figure
    from rescli.runs.metrics_log import read_metrics
    from rescli.runs.rundir import RunDir

    write_json(out / "compare.json", result)
    lines = []
    for contender in result["contenders"]:
        logs = []
        for run in contender["runs"]:
            run_dir = RunDir.of_checkpoint(Path(run["checkpoint"]))
            if run_dir is not None and run_dir.metrics.is_file():
                logs.append(read_metrics(run_dir.metrics))
        if logs:
            lines.append((contender["label"], contender["model"], logs))
    if lines:
        for suffix in ("png", "svg"):
            write_atomically(out / f"curves.{suffix}", curves_figure(lines, format=suffix))
