"""Faults that stay, by name, each with the reason. The table counts them apart."""

from __future__ import annotations

from trials.case import Case, Failed

__all__ = ["KNOWN", "reason_to_stay"]

KNOWN: dict[tuple[str, str, str], str] = {
    ("exported, read back", "of noise at", "wrong exit"): (
        "an exported file has no hash; weights that noise made infinite are said to be of no use, without "
        "the name of the one file that was given"
    ),
}
"""(kind, a piece of ``Case.what``, column) to the reason why it stays."""


def reason_to_stay(case: Case, failed: Failed) -> str | None:
    """Why this failure is no news; None where it is."""
    for (kind, piece, column), reason in KNOWN.items():
        if kind == case.kind and piece in case.what and column == failed.column:
            return reason
    return None
