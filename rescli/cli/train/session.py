"""A run from the command line: begun, gone on with, or followed as one of several processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rescli.cli.output.durations import format_seconds
from rescli.cli.output.messages import say
from rescli.cli.progress.image_wait import advice
from rescli.cli.signals import StopFlag, stop_requested
from rescli.errors import UsageError

if TYPE_CHECKING:
    from rescli.runs.assembly import Assembly
    from rescli.runs.directory import RunDir
    from rescli.runs.saved_state import SavedState
    from rescli.spec.from_names import Choice
    from rescli.spec.run import RunSpec

__all__ = ["Session", "new_path"]


@dataclass(frozen=True)
class Session:
    """Where and how to run; the two ways in, both ending in ``_train``."""

    data_root: Path | None
    device: str
    quiet: bool
    engine: str | None = None
    kernels: str | None = None
    workers: int | None = None
    first: bool = True
    """Whether this process writes the run; others of a launcher only train."""

    def begin(self, spec: RunSpec, out: Path | None, budget: float | None) -> dict[str, Any]:
        """A new run. Everything that can be refused is refused before torch is imported."""
        from datetime import datetime

        from rescli.plan import make_plan
        from rescli.runs.directory import RunDir, default_run_path

        make_plan(spec)
        if not self.first:
            return self._follow(lambda: (self._assemble(spec, budget), None))
        path = out if out is not None else default_run_path(spec, datetime.now())
        with stop_requested() as stop, RunDir.create(path) as run_dir:
            try:
                with stop.interrupting():
                    if budget is None:
                        run_dir.write_spec(spec, self.data_root)
                    assembly = self._assemble(spec, budget)
                    if budget is not None:  # only now is it known how long the run will be
                        run_dir.write_spec(assembly.spec, self.data_root)
            except BaseException:
                run_dir.discard()
                raise
            try:
                return self._train(run_dir, assembly, None, stop)
            except UsageError:  # an engine that does not work here, or too little memory for the first step
                if not run_dir.record.exists():
                    run_dir.discard()
                raise

    def go_on(self, path: Path, choice: Choice) -> dict[str, Any]:
        """A run that was stopped, killed or interrupted."""
        from rescli.runs.directory import RunDir

        run_dir = RunDir.open(path)
        spec = run_dir.read_spec()
        if not self.first:
            return self._follow(lambda: self._prepared(run_dir))
        _refuse_other_spec(run_dir, spec, choice)
        with stop_requested() as stop, run_dir.locked():
            with stop.interrupting():
                assembly, saved = self._prepared(run_dir)
            if not self.quiet:
                step = saved.step if saved else 0
                done = step == spec.iterations and not (saved and saved.evaluation_due)
                what = "is finished already, at" if done else "resuming at"
                say(f"{run_dir.path}: {what} iteration {step} of {spec.iterations}")
            return self._train(run_dir, assembly, saved, stop)

    def _prepared(self, run_dir: RunDir) -> tuple[Assembly, SavedState | None]:
        from rescli.runs.drive import prepare_resume

        return prepare_resume(
            run_dir,
            data_root=self.data_root,
            device=self.device,
            workers=self.workers,
            engine=self.engine,
            kernels=self.kernels,
        )

    def _follow(self, prepared: Callable[[], tuple[Assembly, SavedState | None]]) -> dict[str, Any]:
        """As a rank that trains and writes nothing."""
        from rescli.runs.drive import execute

        with stop_requested(silent=True) as stop:
            with stop.interrupting():
                assembly, saved = prepared()
            return execute(assembly, None, saved=saved, should_stop=stop)

    def _assemble(self, spec: RunSpec, budget: float | None) -> Assembly:
        from rescli.runs.assembly import assemble
        from rescli.runs.drive import numerics_for

        numerics = numerics_for(spec, self.device)
        assembly = assemble(
            spec,
            numerics=numerics,
            data_root=self.data_root,
            workers=self.workers,
            engine=self.engine or "auto",
            kernels=self.kernels or "auto",
        )
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
        from rescli.cli.progress.run import training_progress
        from rescli.runs.drive import execute

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


def new_path(spec: RunSpec, out: Path | None) -> Path:
    """Where a run of several processes will lie; refused here, before they are begun."""
    from datetime import datetime

    from rescli.errors import RunDirError
    from rescli.runs.directory import default_run_path, resume_command

    path = out if out is not None else default_run_path(spec, datetime.now())
    if (path / "spec.toml").exists():
        raise RunDirError(
            f"{path} holds a run already.", hint=f"{resume_command(path)}, or choose another --out DIR"
        )
    return path


def _say_what_data_cost(record: dict[str, Any]) -> None:
    """Where photographs were read: how long training waited for them, and which were left out."""
    waited, trained = record.get("waited_for_data_seconds"), record["train_seconds"]
    if waited is None or trained <= 0:
        return
    share = min(1.0, waited / trained)
    say(f"training waited for images {100 * share:.0f} % of the time{advice(share)}")
    if record["skipped_images"]:
        names = record["skipped_images"]
        say(f"skipped {len(names)} damaged images: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")


def _print_differences(spec: RunSpec) -> None:
    from rescli.spec.ledger.ledger import differences, ledger

    fields = [f"{row.field} ({row.here}; paper: {row.paper})" for row in differences(ledger(spec))]
    say(f"differs from the paper in: {', '.join(fields) or 'nothing'}")


def _refuse_other_spec(run_dir: RunDir, spec: RunSpec, choice: Choice) -> None:
    """Flags beside ``--resume`` may repeat the run's spec, not change it."""
    from rescli.errors import RunDirError
    from rescli.runs.directory import resume_command
    from rescli.runs.saved_state import differing_keys
    from rescli.spec.from_names import choose_changes, choose_spec

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

    if not run_dir.metrics.exists():  # it did not come to training
        return
    try:
        rows = read_metrics(run_dir.metrics)
        if rows:
            write_atomically(run_dir.curves, curves_png(rows, title=spec.name))
    except (RescliError, OSError, ValueError) as error:
        say(f"warning: no {run_dir.curves.name}: {error}")
