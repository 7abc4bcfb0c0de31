"""What became of the runs of another machine that were to be taken in. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rescli.errors import VerificationError
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["IncomingRun", "Outcome", "require_taken"]

Outcome = Literal["taken", "here already", "not needed", "refused"]
"""Copied; finished here with the same weights; of no run that is needed, or finished here with other weights;
named with its reason."""


@dataclass(frozen=True)
class IncomingRun:
    """What became of one run of another machine.

    Attributes:
        folder: where it lies.
        outcome: see ``Outcome``.
        run: its directory here; None where no run that is wanted has its spec.
        net: as the table or figure calls it.
        reason: why it was refused, or is not needed.
        note: what was not checked.
        remedy: keys of the spec with which it would be needed.
    """

    folder: Path
    outcome: Outcome
    run: Path | None = None
    net: str | None = None
    reason: str | None = None
    note: str | None = None
    remedy: Remedy | None = None

    def __str__(self) -> str:
        where = f" as {self.run}" if self.outcome == "taken" else ""
        more = "; ".join(filter(None, [self.reason, self.note]))
        return f"{self.outcome}: {self.folder}{where}{f' ({more})' if more else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "folder": str(self.folder),
            "outcome": self.outcome,
            "run": None if self.run is None else str(self.run),
            "net": self.net,
            "reason": self.reason,
            "note": self.note,
        }


def require_taken(results: Sequence[IncomingRun], consequence: str = "") -> None:
    """Name the runs that were refused, and why.

    Args:
        results: what became of each.
        consequence: what is not done for it, in words.

    Raises:
        VerificationError: one was refused.
    """
    refused = [one for one in results if one.outcome == "refused"]
    if not refused:
        return
    each = "; ".join(f"{one.folder}: {(one.reason or '').removesuffix('.')}" for one in refused)
    raise VerificationError(
        f"{len(refused)} of {counted(len(results), 'run')} not taken in{consequence}: {each}.",
        hint="mend what is named, or leave it out; what was taken in stays here",
        remedy=[one.remedy for one in refused if one.remedy is not None][:1],
    )
