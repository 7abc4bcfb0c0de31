"""Why a net of the paper has no figures of ours: a sentence that knows which sort of reason it is."""

from __future__ import annotations

from typing import Literal, Self

__all__ = ["NotRun", "NotRunKind"]

NotRunKind = Literal["closed", "no_preset", "left_out", "no_images", "failed", "unfinished"]
"""Its test labels are not public; nothing trains it yet; the caller named others; its images are missing; its
run diverged or had too little memory; no run of it is finished."""


class NotRun(str):
    """A reason in words, so that a table, a file and JSON take it as it is.

    Args:
        text: the reason.
        kind: its sort, for whoever has other words for it.
    """

    __slots__ = ("kind",)

    kind: NotRunKind

    def __new__(cls, text: str, kind: NotRunKind) -> Self:
        """The text with its kind."""
        made = super().__new__(cls, text)
        made.kind = kind
        return made

    def __getnewargs__(self) -> tuple[str, NotRunKind]:  # type: ignore[override]
        """What copies and pickles are made of."""
        return str(self), self.kind
