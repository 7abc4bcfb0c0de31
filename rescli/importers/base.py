"""What an importer is: one layout of published state dicts, and how it maps onto our nets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import ClassVar

from torch import Tensor

from rescli.spec.base import ModelSpec

__all__ = ["Importer"]


class Importer(ABC):
    """A layout of state dicts. Group ``rescli.importers``; made without arguments.

    Which names and shapes belong to a net is asked of the net itself (``convert``), so an importer only
    says what is different in its layout.
    """

    kind: ClassVar[str]
    """The name under which the class is registered."""

    @abstractmethod
    def default_normalization(self, model: ModelSpec) -> str:
        """How images are normalised for such nets, unless the user says else: a key of ``NORMALIZATIONS``."""

    @abstractmethod
    def recognises(self, names: Collection[str]) -> bool:
        """Whether a state dict with these tensor names is in this layout. No two importers should agree."""

    def unfit(self, model: ModelSpec) -> str | None:
        """The nets that the layout has, in words, where ``model`` is none of them; else None."""
        return None

    def their_name(self, name: str) -> str:
        """What our tensor ``name`` is called in this layout."""
        return name

    def arrange(self, tensors: Mapping[str, Tensor], model: ModelSpec) -> dict[str, Tensor]:
        """The tensors, under our names and in our shapes, as our net needs them to give the same logits."""
        return dict(tensors)
