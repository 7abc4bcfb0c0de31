"""One line of a fidelity ledger."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["LedgerRow", "Verdict", "compare"]

Verdict = Literal["same", "differs", "not stated", "beyond"]
"""``not stated``: the paper leaves it open. ``beyond``: the paper has no such experiment."""


@dataclass(frozen=True)
class LedgerRow:
    """One choice: what this spec says, what the paper says, and whether they agree."""

    field: str
    here: str
    paper: str
    verdict: Verdict
    note: str = ""

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def compare(field: str, here: Any, paper: Any, note: str = "") -> LedgerRow:
    """Two values, as text, and whether they are equal."""
    return LedgerRow(field, _text(here), _text(paper), "same" if here == paper else "differs", note)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
