"""Units of the keys of a spec: what the number of a key counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

__all__ = ["Channels", "Evaluations", "Images", "Iterations", "Layers", "Percent", "Pixels", "Unit"]


@dataclass(frozen=True)
class Unit:
    """A mark in the annotation of a key; it changes no value and refuses none."""

    name: str


Channels = Annotated[int, Unit("channels")]
Evaluations = Annotated[int, Unit("evaluations")]
Images = Annotated[int, Unit("images")]
Iterations = Annotated[int, Unit("iterations")]
Layers = Annotated[int, Unit("layers")]
Percent = Annotated[float, Unit("percent")]
Pixels = Annotated[int, Unit("pixels")]
