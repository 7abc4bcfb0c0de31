"""``rescli train --dry-run``: the whole spec, the plan and the ledger, without torch."""

from __future__ import annotations

from typing import Any

from rescli.cli.output.results import print_json
from rescli.cli.train.messages import odd_text
from rescli.durations import format_seconds
from rescli.plan import Estimate, TrainPlan
from rescli.plurals import counted, every
from rescli.spec.ledger.row import LedgerRow
from rescli.spec.toml import to_toml
from rescli.workflows.results.planned_run import PlannedRun

__all__ = ["print_dry_run"]

_STYLES = {"same": "green", "differs": "yellow", "not stated": "dim", "beyond": "cyan"}


def print_dry_run(preset: str, planned: PlannedRun, *, budget: str | None, as_json: bool) -> None:
    """Everything that would happen, on stdout."""
    if as_json:
        print_json({"preset": preset, **planned.to_dict()})
        return
    spec = planned.spec
    from rich.text import Text

    from rescli.report.console import SafeConsole

    console = SafeConsole()
    named = f"{spec.name} (preset {preset}, sha256 {spec.fingerprint()[:12]})"
    console.print(Text.assemble(("spec", "bold"), f" of {named}\n"), soft_wrap=True)
    console.print(to_toml(spec.to_dict()), soft_wrap=True)
    console.print(Text("plan\n", style="bold"))
    console.print(_plan_table(planned.plan, planned.estimate, budget))
    for odd in planned.oddities(shortened=budget is not None):
        console.print(f"\nnote: {odd_text(odd)}", soft_wrap=True)
    section = "sections 3.4, 4.1" if spec.data.dataset.any_size else "section 4.2"
    against = f": this spec against the paper (arXiv:1512.03385, {section})\n"
    console.print(Text.assemble("\n", ("ledger", "bold"), against))
    console.print(_ledger_table(planned.ledger))


def _plan_table(plan: TrainPlan, forecast: Estimate | None, budget: str | None) -> Any:
    from rich.table import Table

    table = Table.grid(padding=(0, 3))
    epochs = plan.epoch(plan.total_steps)
    table.add_row(
        "iterations",
        f"{plan.total_steps:,} of {counted(plan.batch_size, 'image')} ({epochs:.1f} epochs of "
        f"{plan.num_train:,})",
    )
    for count, (step, lr) in enumerate(plan.lr_changes()):
        table.add_row("learning rate" if count == 0 else "", f"{lr:g} from iteration {step:,}")
    for text in plan.schedule.describe_triggers():
        table.add_row("", text)
    late = [step for step, _ in plan.schedule.changes(10**12) if step >= plan.total_steps]
    if late:
        table.add_row(
            "", f"milestones beyond the end, never reached: {', '.join(f'{step:,}' for step in late)}"
        )
    val = (
        f"{plan.num_evaluations} on {counted(plan.num_val, 'val image')}"
        if plan.num_evaluations
        else "none: no val images"
    )
    table.add_row("evaluations", f"{val}, {every(plan.eval_every, 'iteration')} and at the end")
    table.add_row(
        "saved states", f"{every(plan.checkpoint_every, 'iteration')}, at the end, and when stopped"
    )
    if forecast is None:
        table.add_row("estimate", "unknown for this model; it is measured after the first iterations")
    else:
        table.add_row(
            "network", f"{forecast.params:,} parameters, {forecast.macs / 1e6:,.1f} M multiply-adds an image"
        )
        seconds = format_seconds(forecast.cpu_train_seconds)
        table.add_row(
            "time",
            f"about {seconds} on {counted(forecast.cores, 'CPU core')} in {forecast.precision} (within a "
            "factor of 2)",
        )
        table.add_row("memory", f"about {forecast.memory_bytes / 2**30:.2f} GiB beside torch itself")
    if budget is not None:
        table.add_row("budget", f"{budget}: the schedule is shortened in proportion once a step was timed")
    return table


def _ledger_table(rows: list[LedgerRow]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("", "field", "here", "paper", "note"):
        table.add_column(column, no_wrap=column in ("", "field"), overflow="fold")
    for row in rows:
        verdict, note = Text(row.verdict, style=_STYLES[row.verdict]), Text(row.note, style="dim")
        table.add_row(verdict, row.field, row.here, row.paper, note)
    return table
