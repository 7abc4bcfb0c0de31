"""What ``rescli reproduce --status`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rescli.cli.output.columns import print_line
from rescli.errors import UsageError

if TYPE_CHECKING:
    from rescli.report.reproduction_status import ReproductionStatus
    from rescli.studies.not_run import NotRun

__all__ = ["print_status", "reason_in_flags", "refuse_beside_status"]


def refuse_beside_status(*, budget: str | None, dry_run: bool, train: bool) -> None:
    """Refuse the flags that ask for something else than to see how far the runs are.

    Raises:
        UsageError: one is given.
    """
    given = {"--budget": budget is not None, "--dry-run": dry_run, "--no-train": not train}
    if flags := [flag for flag, is_given in given.items() if is_given]:
        why = "; the runs of a budget have schedules that only a training fits" if budget is not None else ""
        raise UsageError(
            f"--status shows how far the runs are, and goes without {' and '.join(flags)}{why}.",
            hint=f"leave out --status or {' and '.join(flags)}",
        )


def print_status(found: ReproductionStatus, *, as_json: bool) -> None:
    """Print the table, or one JSON object."""
    not_run = {label: reason_in_flags(reason) for label, reason in found.not_run.items()}
    if as_json:
        from rescli.cli.output.results import print_json

        print_json({**found.to_dict(), "not_run": not_run})
        return
    for one in found.imported:
        print_line(str(one))
    print_line(f"{found.item.title} ({found.item.source}), {found.summary}")
    print()
    print(found.table())
    together: dict[str, list[str]] = {}
    for label, reason in not_run.items():
        together.setdefault(reason, []).append(label)
    lines = [f"not run   {', '.join(labels)}: {reason}" for reason, labels in together.items()]
    for place, line in enumerate([*found.problems, *lines]):
        print("\n" * (place == 0), end="")
        print_line(line)


def reason_in_flags(reason: NotRun) -> NotRun:
    """The reason in the words of the command line."""
    return type(reason)("left out by --only", "left_out") if reason.kind == "left_out" else reason
