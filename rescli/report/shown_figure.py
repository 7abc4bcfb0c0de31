"""A matplotlib figure that a notebook shows by itself, without pyplot."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

__all__ = ["ShownFigure"]


class ShownFigure(Figure):
    """A figure like any other, which a cell of a notebook shows as a picture.

    ``legend_lines`` says what the numbers in it stand for, where no font has the letters of a name.
    """

    legend_lines: tuple[str, ...] = ()

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()
