"""Several runs as one piece of work, shared by ``compare`` and ``reproduce``: fit a budget, plan, train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rescli.cli.output.durations import format_seconds
from rescli.cli.output.messages import say

if TYPE_CHECKING:
    from rescli.errors import RescliError
    from rescli.spec.run import RunSpec
    from rescli.studies.queue import CampaignRun

__all__ = ["print_plan", "scale_within_budget", "train_campaign"]


def scale_within_budget(
    specs: Sequence[RunSpec], seconds: float, out: Path, data_root: Path | None, device: str, *, quiet: bool
) -> list[RunSpec]:
    """All schedules shortened by one ratio: measured once, then read from ``out``, so that a campaign that
    was interrupted goes on with the same specs."""
    from rescli.files import read_json, write_json
    from rescli.studies.queue import scale_together

    note = out / "budget.json"
    key = [spec.fingerprint() for spec in specs]
    before = read_json(note) if note.is_file() else None
    if before is not None and before.get("specs") == key and before.get("budget_seconds") == seconds:
        ratio = float(before["ratio"])
    else:
        ratio = scale_together(specs, seconds, data_root=data_root, device=device)
        write_json(note, {"budget_seconds": seconds, "ratio": ratio, "specs": key})
    if not quiet:
        say(
            f"budget {format_seconds(seconds)} for {len(specs)} runs: schedules times {ratio:.4f}; "
            + ("not shortened" if ratio == 1 else "scaled: not comparable with published numbers")
        )
    return [spec if ratio == 1 else spec.scaled(max(1, int(ratio * spec.iterations))) for spec in specs]


def print_plan(queue: Sequence[CampaignRun]) -> None:
    """One line a run: where it lies, how long it is, and about how long it takes on this CPU."""
    from rescli.plan import estimate, make_plan

    total = 0.0
    for run in queue:
        forecast = estimate(run.spec, make_plan(run.spec))
        cost = ""
        if forecast is not None and run.status != "finished":
            total += forecast.cpu_train_seconds
            cost = f", about {format_seconds(forecast.cpu_train_seconds)} on this CPU"
        say(f"{run.status:<8}  {run.path}  {run.spec.iterations} iterations{cost}")
    if len(queue) > 1 and total:
        say(f"{'together':<8}  about {format_seconds(total)} on this CPU")


def train_campaign(
    queue: Sequence[CampaignRun],
    *,
    data_root: Path | None,
    device: str,
    quiet: bool,
    on_failure: Callable[[CampaignRun, RescliError], None] | None = None,
) -> None:
    """Train what is missing, side by side on the screen.

    on_failure: told of a run that diverged or has no memory, and the next one begins; unset, it is raised.
    """
    from rescli.cli.progress.queue import campaign_progress
    from rescli.cli.signals import stop_requested
    from rescli.studies.queue import train_missing

    with stop_requested() as stop, campaign_progress(queue, quiet=quiet) as progress:
        train_missing(
            queue,
            data_root=data_root,
            device=device,
            progress=progress,
            should_stop=stop,
            preparing=stop.interrupting,
            on_failure=on_failure,
        )
