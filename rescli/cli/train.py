"""``rescli train``: argv -> spec -> run directory -> training -> record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rescli.cli.durations import format_seconds
from rescli.cli.messages import say
from rescli.cli.signals import StopFlag, stop_requested

if TYPE_CHECKING:
    from rescli.cli.choose import Choice
    from rescli.runs.assemble import Assembly
    from rescli.runs.resume import SavedState
    from rescli.runs.rundir import RunDir
    from rescli.spec.run import RunSpec

__all__ = ["train"]


def train(
    preset: Annotated[
        str | None, typer.Argument(help="A preset (rescli presets) or a .toml file.", show_default=False)
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Data set: cifar10, cifar100, shapes, or a plugin's.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Network: resnet-N or plain-N.", metavar="NAME")] = None,
    depth: Annotated[int | None, typer.Option(help="Layers of a ResNet: 6n+2 on 32x32 images.")] = None,
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
    from rescli.cli.choose import Choice, choose_spec
    from rescli.cli.durations import parse_seconds

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
        start_from=from_,
    )
    seconds = parse_seconds(budget) if budget is not None else None
    session = _Session(data_root=data_root, device=device, quiet=quiet, workers=workers)
    if resume is not None:
        _refuse_with_resume(out=out, budget=budget, dry_run=dry_run)
        record = session.go_on(resume, choice)
    else:
        used, spec = choose_spec(choice)
        spec = spec.resolved(data_root)
        if dry_run:
            from rescli.cli.dry_run import print_dry_run

            print_dry_run(used, spec, budget=budget, as_json=json)
            return
        if not quiet:
            say(f"preset {used}")
        record = session.begin(spec, out, seconds)
    from rescli.cli.results import print_record

    print_record(record, as_json=json)


def _refuse_with_resume(**flags: object) -> None:
    from rescli.errors import UsageError

    given = [name.replace("_", "-") for name, value in flags.items() if value]
    if given:
        raise UsageError(
            f"--{given[0]} does not go with --resume: a resumed run keeps its directory and its plan."
        )


@dataclass(frozen=True)
class _Session:
    """Where and how to run; the two ways in, both ending in ``_train``."""

    data_root: Path | None
    device: str
    quiet: bool
    workers: int | None = None

    def begin(self, spec: RunSpec, out: Path | None, budget: float | None) -> dict[str, Any]:
        """A new run. Everything that can be refused is refused before torch is imported."""
        from datetime import datetime

        from rescli.plan import make_plan
        from rescli.runs.rundir import RunDir, default_run_path

        make_plan(spec)
        path = out if out is not None else default_run_path(spec, datetime.now())
        with stop_requested() as stop, RunDir.create(path) as run_dir:
            try:
                with stop.interrupting():
                    if budget is None:
                        run_dir.write_spec(spec)
                    assembly = self._assemble(spec, budget)
                    if budget is not None:  # only now is it known how long the run will be
                        run_dir.write_spec(assembly.spec)
            except BaseException:
                run_dir.discard()
                raise
            return self._train(run_dir, assembly, None, stop)

    def go_on(self, path: Path, choice: Choice) -> dict[str, Any]:
        """A run that was stopped, killed or interrupted."""
        from rescli.runs.rundir import RunDir

        run_dir = RunDir.open(path)
        spec = run_dir.read_spec()
        _refuse_other_spec(run_dir, spec, choice)
        with stop_requested() as stop, run_dir.locked():
            with stop.interrupting():
                from rescli.runs.execute import prepare_resume

                assembly, saved = prepare_resume(
                    run_dir, data_root=self.data_root, device=self.device, workers=self.workers
                )
            if not self.quiet:
                step = saved.step if saved else 0
                done = step == spec.iterations
                what = "is finished already, at" if done else "resuming at"
                say(f"{run_dir.path}: {what} iteration {step} of {spec.iterations}")
            return self._train(run_dir, assembly, saved, stop)

    def _assemble(self, spec: RunSpec, budget: float | None) -> Assembly:
        from rescli.runs.assemble import assemble
        from rescli.runs.execute import numerics_for

        numerics = numerics_for(spec, self.device)
        assembly = assemble(spec, numerics=numerics, data_root=self.data_root, workers=self.workers)
        if budget is None:
            return assembly
        from rescli.runs.budget import scale_to_budget

        fitted = scale_to_budget(assembly, budget)
        if not self.quiet:
            say(
                f"budget {format_seconds(budget)}: {fitted.spec.iterations} of {spec.iterations} iterations "
                f"({1000 * fitted.step_seconds:.0f} ms each); "
                + (
                    "not shortened"
                    if fitted.spec == spec
                    else "scaled: not comparable with published numbers"
                )
            )
        return replace(assembly, spec=fitted.spec)

    def _train(
        self, run_dir: RunDir, assembly: Assembly, saved: SavedState | None, stop: StopFlag
    ) -> dict[str, Any]:
        from rescli.cli.progress import training_progress
        from rescli.runs.execute import execute

        spec = assembly.spec
        if not self.quiet:
            _print_differences(spec)
            say(f"run directory: {run_dir.path}")
        try:
            with training_progress(
                name=spec.name,
                total_steps=spec.iterations,
                start_step=saved.step if saved else 0,
                quiet=self.quiet,
            ) as progress:
                record = execute(assembly, run_dir, saved=saved, sinks=[progress], should_stop=stop)
        finally:
            _draw_curves(run_dir, spec)
        if not self.quiet:
            _say_what_data_cost(record)
        return {**record, "run_dir": str(run_dir.path)}


def _say_what_data_cost(record: dict[str, Any]) -> None:
    """Where photographs were read: how long training waited for them, and which were left out."""
    waited, trained = record.get("waited_for_data_seconds"), record["train_seconds"]
    if waited is None or trained <= 0:
        return
    share = min(1.0, waited / trained)
    advice = "; more --workers may help" if share > 0.1 else ""
    say(f"training waited for images {100 * share:.0f} % of the time{advice}")
    if record["skipped_images"]:
        names = record["skipped_images"]
        say(f"skipped {len(names)} damaged images: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")


def _print_differences(spec: RunSpec) -> None:
    from rescli.spec.ledger import differences, ledger

    fields = [f"{row.field} ({row.here}; paper: {row.paper})" for row in differences(ledger(spec))]
    say(f"differs from the paper in: {', '.join(fields) or 'nothing'}")


def _refuse_other_spec(run_dir: RunDir, spec: RunSpec, choice: Choice) -> None:
    """Flags beside ``--resume`` may repeat the run's spec, not change it."""
    from rescli.cli.choose import choose_changes, choose_spec
    from rescli.errors import RunDirError
    from rescli.runs.resume import differing_keys
    from rescli.runs.rundir import resume_command

    if choice.is_empty:
        return
    wanted = choose_spec(choice)[1] if choice.names_a_net else choose_changes(str(run_dir.spec), choice)
    changed = differing_keys(spec.to_dict(), wanted.to_dict())
    if changed:
        raise RunDirError(
            f"{run_dir.path} is a run of another spec; these keys differ: {', '.join(changed)}.",
            hint=f"{resume_command(run_dir.path)}   alone, or begin a new run with --out NEW_DIR",
        )


def _draw_curves(run_dir: RunDir, spec: RunSpec) -> None:
    """A picture that cannot be drawn is a warning: how the run ended matters more."""
    from rescli.errors import RescliError
    from rescli.files import write_atomically
    from rescli.report.figures import curves_png
    from rescli.runs.metrics_log import read_metrics

    try:
        rows = read_metrics(run_dir.metrics)
        if rows:
            write_atomically(run_dir.curves, curves_png(rows, title=spec.name))
    except (RescliError, OSError, ValueError) as error:
        say(f"warning: no {run_dir.curves.name}: {error}")
