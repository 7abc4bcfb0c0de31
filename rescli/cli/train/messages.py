"""What ``rescli train`` says beside its progress, and what it refuses beside ``--resume``."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rescli.cli.output.messages import say
from rescli.durations import format_seconds
from rescli.errors import RunDirError
from rescli.remedy import Remedy
from rescli.report.progress.image_wait import advice
from rescli.report.progress.run import training_progress
from rescli.runs.directory import RunDir, default_run_path
from rescli.spec.from_names import Choice, choose_changes, choose_spec
from rescli.spec.ledger.ledger import differences, ledger
from rescli.spec.run import RunSpec

if TYPE_CHECKING:
    from rescli.runs.record import RunRecord
    from rescli.training.events import Sink
    from rescli.workflows.results.run import RunStart

__all__ = ["new_path", "refuse_other_spec", "run_progress", "say_start", "say_what_data_cost"]

_MORE_WORKERS = "--workers"


def run_progress(spec: RunSpec, begin: int) -> AbstractContextManager[Sink]:
    """A block whose sink shows a run from iteration ``begin``: bars on a terminal, lines elsewhere."""
    return training_progress(
        name=spec.name, total_steps=spec.iterations, start_step=begin, workers=_MORE_WORKERS
    )


def say_start(start: RunStart, budget_seconds: float | None) -> None:
    """Where the run begins or continues, what a budget made of it, and where it differs from the paper."""
    spec = start.spec
    if start.resumed:
        done = start.step == spec.iterations and not start.evaluation_due
        what = "is finished already, at" if done else "resuming at"
        say(f"{start.path}: {what} iteration {start.step} of {spec.iterations}")
    if budget_seconds is not None and start.whole_spec is not None and start.step_seconds is not None:
        whole = start.whole_spec
        say(
            f"budget {format_seconds(budget_seconds)}: {spec.iterations} of {whole.iterations} iterations "
            f"({1000 * start.step_seconds:.0f} ms each); "
            + ("not shortened" if spec == whole else "scaled: not comparable with published numbers")
        )
    fields = [f"{row.field} ({row.here}; paper: {row.paper})" for row in differences(ledger(spec))]
    say(f"differs from the paper in: {', '.join(fields) or 'nothing'}")
    say(f"run directory: {start.path}")


def say_what_data_cost(record: RunRecord) -> None:
    """How long training waited for photographs, and which were left out."""
    waited, trained = record.get("waited_for_data_seconds"), record["train_seconds"]
    if waited is None or trained <= 0:
        return
    share = min(1.0, waited / trained)
    say(f"training waited for images {100 * share:.0f} % of the time{advice(share, workers=_MORE_WORKERS)}")
    if names := record["skipped_images"]:
        say(f"skipped {len(names)} damaged images: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")


def new_path(spec: RunSpec, out: Path | None) -> Path:
    """Where a run of several processes will lie; refused here, before they are begun.

    Raises:
        RunDirError: it holds a run already.
    """
    path = out if out is not None else default_run_path(spec, datetime.now())
    if (path / "spec.toml").exists():
        raise RunDirError(
            f"{path} holds a run already.", remedy=[Remedy("resume", str(path)), Remedy("out", "DIR")]
        )
    return path


def refuse_other_spec(path: Path, choice: Choice) -> None:
    """Flags beside ``--resume`` may repeat the run's spec, not change it.

    Raises:
        RunDirError: they change it; or there is no such run.
    """
    run_dir = RunDir.open(path)
    spec = run_dir.read_spec()
    if choice.is_empty:
        return
    from rescli.runs.saved_state import differing_keys

    wanted = choose_spec(choice)[1] if choice.names_a_net else choose_changes(str(run_dir.spec), choice)
    changed = differing_keys(spec.to_dict(), wanted.to_dict())
    if changed:
        raise RunDirError(
            f"{run_dir.path} is a run of another spec; these keys differ: {', '.join(changed)}.",
            remedy=[
                Remedy("resume", str(run_dir.path), "alone"),
                Remedy("out", "NEW_DIR", "to begin a new run"),
            ],
        )
