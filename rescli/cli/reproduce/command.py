"""``rescli reproduce``: train what a table or figure of the paper needs, and hold ours beside theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rescli.cli.output.messages import say
from rescli.errors import DataError, RescliError, UnknownNameError

if TYPE_CHECKING:
    from rescli.spec.run import RunSpec
    from rescli.studies.paper_items import Entry, Target
    from rescli.studies.queue import CampaignRun

__all__ = ["reproduce"]


def reproduce(
    name: Annotated[
        str, typer.Argument(help="table2 to table6, fig1, fig4, fig6 or fig7.", metavar="TARGET")
    ],
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Runs of each net, seeds 0, 1, ...")] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option(help="These nets alone, repeatable, as the table calls them.", metavar="NET"),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Or just the table of what is finished.")
    ] = True,
    budget: Annotated[
        str | None,
        typer.Option(help="Shorten all schedules alike to fit all runs, for example 2h.", metavar="TIME"),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any key of all specs, repeatable.", metavar="KEY=VALUE"),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where runs lie and are found again.", metavar="DIR")] = Path(
        "runs"
    ),
    out: Annotated[
        Path | None, typer.Option(help="Where it is written; unset: reproductions/TARGET.", metavar="DIR")
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(help="Where the data lies; else RESCLI_DATA, else the cache.", metavar="DIR"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print plan and cost, then stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Reproduce a table or figure of the paper. Interrupted, the same command goes on; nothing is done twice.

    rescli reproduce table6 --seeds 5 --dry-run

    rescli reproduce fig7 --only plain-20 --only resnet-20
    """
    from rescli.cli.output.durations import parse_seconds
    from rescli.cli.reproduce.campaigns import print_plan, scale_within_budget, train_campaign
    from rescli.studies.paper_items import target

    wanted = target(name)
    seconds = parse_seconds(budget) if budget is not None else None
    out = out or Path("reproductions") / name
    chosen = _chosen(wanted, only or [])
    specs, not_run = _specs(wanted, chosen, seeds, set_ or [])
    if seconds is not None and specs:
        flat = [spec for group in specs.values() for spec in group]
        if dry_run:
            say("the budget is fitted when it starts: the plan below is of the whole schedules")
        else:
            _require_data(specs, not_run, data_root)
            flat = [spec for group in specs.values() for spec in group]
            scaled = iter(scale_within_budget(flat, seconds, out, data_root, device, quiet=quiet))
            specs = {entry: [next(scaled) for _ in group] for entry, group in specs.items()}
    planned = _planned(specs, runs)
    # Seed by seed and the cheapest first: whenever it ends, most of the table is there.
    queue = [
        run for seed in range(seeds) for run in sorted((group[seed] for group in planned.values()), key=_macs)
    ]
    if not quiet or (dry_run and not json):
        print_plan(queue)
        for entry, reason in not_run.items():
            say(f"not run   {entry.label}: {reason}")
    if dry_run:
        if json:
            _print_plan_json(wanted, queue, not_run)
        return
    if train and any(run.status != "finished" for run in queue):
        _require_data(specs, not_run, data_root)
        queue = [run for run in queue if any(run.spec in group for group in specs.values())]
        by_path = {run.path: entry for entry, group in planned.items() for run in group}

        def failed(run: CampaignRun, error: RescliError) -> None:
            not_run[by_path[run.path]] = f"seed {run.spec.seed}: {error}"
            say(f"{run.spec.name}: {error}")

        train_campaign(queue, data_root=data_root, device=device, quiet=quiet, on_failure=failed)
    result = _result(wanted, planned, not_run, data_root, device, quiet=quiet)
    _write(out, wanted, planned, result, data_root, device)
    _print({**result, "out": str(out)}, as_json=json)


def _chosen(wanted: Target, only: Sequence[str]) -> set[str]:
    trainable = [entry.label for entry in wanted.entries if entry.preset is not None]
    by_folded = {label.lower(): label for label in trainable}
    by_folded |= {label.lower().removesuffix(" a"): label for label in trainable if label.endswith(" A")}
    for given in only:
        if given.lower() not in by_folded:
            raise UnknownNameError(f"net of {wanted.name}", given, trainable)
    return {by_folded[given.lower()] for given in only} or set(trainable)


def _specs(
    wanted: Target, chosen: set[str], seeds: int, overrides: Sequence[str]
) -> tuple[dict[Entry, list[RunSpec]], dict[Entry, str]]:
    """Per entry one spec a seed, and why others are not run."""
    from rescli.spec.load import load_spec, parse_override, preset_names

    specs: dict[Entry, list[RunSpec]] = {}
    not_run: dict[Entry, str] = {}
    for entry in wanted.entries:
        if entry.reason is not None:
            not_run[entry] = entry.reason
        elif entry.preset is None:
            continue  # a net of others
        elif entry.label not in chosen:
            not_run[entry] = "left out by --only"
        elif entry.preset not in preset_names():
            not_run[entry] = f"there is no preset {entry.preset} yet"
        else:
            changes: list[tuple[str, Any]] = [parse_override(pair) for pair in overrides]
            if entry.shortcut is not None:
                changes.insert(0, ("model.shortcut", entry.shortcut))
            spec = load_spec(entry.preset, changes)
            specs[entry] = [spec.model_copy(update={"seed": seed}) for seed in range(seeds)]
    return specs, not_run


def _require_data(
    specs: dict[Entry, list[RunSpec]], not_run: dict[Entry, str], data_root: Path | None
) -> None:
    """Leave out what has no images here; the rest goes on."""
    missing: dict[str, str | None] = {}
    for entry, group in list(specs.items()):
        dataset = group[0].data.dataset
        key = dataset.model_dump_json()
        if key not in missing:
            try:
                dataset.build(data_root, ("test",) if "test" in dataset.sizes else ("val",))
                missing[key] = None
            except DataError as error:
                missing[key] = str(error)
        if (reason := missing[key]) is not None:
            not_run[entry] = reason
            del specs[entry]


def _planned(specs: Mapping[Entry, list[RunSpec]], runs: Path) -> dict[Entry, list[CampaignRun]]:
    from rescli.studies.queue import CampaignRun

    return {entry: [CampaignRun.below(runs, spec) for spec in group] for entry, group in specs.items()}


def _macs(run: CampaignRun) -> int:
    dataset = run.spec.data.dataset
    layout = run.spec.model.layout(num_classes=dataset.num_classes, image_size=dataset.image_size)
    return layout.macs if layout else 0


def _print_plan_json(wanted: Target, queue: Sequence[CampaignRun], not_run: Mapping[Entry, str]) -> None:
    from rescli.cli.output.results import print_json
    from rescli.plan import estimate, make_plan

    rows = []
    for run in queue:
        forecast = estimate(run.spec, make_plan(run.spec))
        rows.append(
            {
                "run": str(run.path),
                "status": run.status,
                "iterations": run.spec.iterations,
                "cpu_train_seconds": forecast.cpu_train_seconds if forecast else None,
            }
        )
    reasons = {entry.label: reason for entry, reason in not_run.items()}
    print_json({"target": wanted.name, "plan": rows, "not_run": reasons})


def _result(
    wanted: Target,
    planned: Mapping[Entry, Sequence[CampaignRun]],
    not_run: Mapping[Entry, str],
    data_root: Path | None,
    device: str,
    *,
    quiet: bool,
) -> dict[str, Any]:
    from rescli.cli.eval.output import eval_progress
    from rescli.evaluation.logits_cache import LogitsCache
    from rescli.runs.evaluator import Evaluator
    from rescli.runs.record import provenance
    from rescli.studies.reproduction import measure_entries

    protocol = wanted.table.protocol if wanted.table else "single"
    evaluator = Evaluator(
        split=wanted.table.split if wanted.table else "test",
        protocol=protocol,
        average="probabilities",
        dataset=None,
        matching="same",
        data_root=data_root,
        device=device,
        precision="auto",
        batch_size=None,
        cache=LogitsCache.of_user(),
    )
    with eval_progress() as progress:
        if not quiet:
            evaluator.progress = progress
        rows = measure_entries(wanted, planned, not_run, evaluator)
    head = {"target": wanted.name, "title": wanted.title, "source": wanted.source, "protocol": protocol}
    return {**head, **provenance(), "rows": rows}


def _write(
    out: Path,
    wanted: Target,
    planned: Mapping[Entry, Sequence[CampaignRun]],
    result: dict[str, Any],
    data_root: Path | None,
    device: str,
) -> None:
    """TARGET.json and .md, and for a figure TARGET.png and .svg where a run is finished."""
    from rescli.files import write_atomically, write_json
    from rescli.report.comparison_figures import curves_figure
    from rescli.report.figures import responses_figure
    from rescli.report.reproduction import as_markdown
    from rescli.studies.reproduction import curve_lines, response_lines

    pictures = {}
    if wanted.kind == "curves" and (lines := curve_lines(planned)):
        pictures = {suffix: curves_figure(lines, format=suffix) for suffix in ("png", "svg")}
    elif wanted.kind == "responses":
        result["responses"] = response_lines(planned, data_root=data_root, device=device)
        stds = [(row["model"], [layer["std"] for layer in row["layers"]]) for row in result["responses"]]
        if stds:
            pictures = {suffix: responses_figure(stds, format=suffix) for suffix in ("png", "svg")}
    for suffix, picture in pictures.items():
        write_atomically(out / f"{wanted.name}.{suffix}", picture)
    write_atomically(out / f"{wanted.name}.md", as_markdown(result).encode())
    write_json(out / f"{wanted.name}.json", result)


def _print(result: dict[str, Any], *, as_json: bool) -> None:
    from rescli.cli.output.results import print_json
    from rescli.report.reproduction import table_cells

    if as_json:
        print_json(result)
        return
    print(f"{result['title']} ({result['source']}); protocol {result['protocol']}\n")
    rows = table_cells(result["rows"])
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2]), row[3]]
        print("  ".join(cells).rstrip())
    print(f"\nwritten to {result['out']}")
