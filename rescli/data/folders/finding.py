"""One thing that is worth saying of a folder of photographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["KINDS", "Finding", "Kind", "classes_in_words", "images_in_words"]

Kind = Literal["note", "left out", "odd", "refused"]
"""What is known from now on; what is not used; what may be wrong; what cannot be trained on."""

KINDS: tuple[Kind, ...] = ("note", "left out", "odd", "refused")
"""The gravest last."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: how grave it is.
        text: a sentence that can stand alone.
        hint: what to do, where that is no setting.
        remedies: settings that change it.
    """

    kind: Kind
    text: str
    hint: str | None = None
    remedies: tuple[Remedy, ...] = ()

    @property
    def sentence(self) -> str:
        """The text with its hint."""
        return f"{self.text.removesuffix('.')}: {self.hint}" if self.hint else self.text


def images_in_words(count: int) -> str:
    """``1 image``, ``2,000 images``."""
    return counted(count, "image")


def classes_in_words(count: int) -> str:
    """``1 class``, ``1,000 classes``."""
    return counted(count, "class")
