"""Ten silhouettes as signed distances: negative inside, positive outside, zero on the outline.

Every class is its own mirror image up to a rotation, so a horizontal flip never changes a label. The formulas
follow Inigo Quilez, "2D distance functions" (https://iquilezles.org/articles/distfunctions2d/), shortened
where only the neighbourhood of the outline matters: coverage saturates half a pixel away from it.

Only operations that IEEE 754 rounds exactly (+ - * / sqrt abs min max) touch the pixels, so a seed gives the
same bytes on every machine.

Suffixes: B images of one class, Y rows, X columns. ``u`` and ``v`` are the shape's own axes in units of its
radius; ``form_B11``, uniform in [0, 1), sets its proportions: the width of a ring, the sharpness of a star.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["SILHOUETTES", "Floats"]

Floats: TypeAlias = NDArray[np.floating[Any]]
"""float32 throughout; wider only because numpy's stubs make a float times a float32 array a float64 one."""

Silhouette: TypeAlias = Callable[[Floats, Floats, Floats], Floats]

_SQRT3_2 = 0.8660254
_COS_36 = 0.80901699
_SIN_36 = 0.58778525


def _length(u_BYX: Floats, v_BYX: Floats) -> Floats:
    return np.sqrt(u_BYX * u_BYX + v_BYX * v_BYX)


def _fold_in_five(u_BYX: Floats, v_BYX: Floats) -> tuple[Floats, Floats]:
    """Reflect the plane into the sector of 36 degrees beside +v, as the five-fold symmetry allows."""
    u = np.abs(u_BYX)
    v = v_BYX
    for normal_u in (_COS_36, -_COS_36):
        twice_overshoot = 2 * np.maximum(normal_u * u - _SIN_36 * v, 0)
        u = u - twice_overshoot * normal_u
        v = v + twice_overshoot * _SIN_36
    return np.abs(u), v


def arrow(u_BYX: Floats, v_BYX: Floats, form_B11: Floats) -> Floats:
    neck = 0.3 * form_B11 - 0.1
    half_width = 0.8
    height = 1 - neck
    u = np.abs(u_BYX)
    slant = np.sqrt(height * height + half_width * half_width)
    head = np.maximum((u * height + (v_BYX - 1) * half_width) / slant, neck - v_BYX)
    shaft = np.maximum(u - (0.2 + 0.1 * form_B11), np.maximum(v_BYX - (neck + 0.1), -1 - v_BYX))
    distance: Floats = np.minimum(head, shaft)
    return distance


def crescent(u_BYX: Floats, v_BYX: Floats, form_B11: Floats) -> Floats:
    bite = 0.42 + 0.2 * form_B11
    distance: Floats = np.maximum(_length(u_BYX, v_BYX) - 1, 0.88 - _length(u_BYX - bite, v_BYX))
    return distance


def cross(u_BYX: Floats, v_BYX: Floats, form_B11: Floats) -> Floats:
    u, v = np.abs(u_BYX), np.abs(v_BYX)
    half_width = 0.2 + 0.14 * form_B11
    distance: Floats = np.maximum(np.maximum(u, v) - 1, np.minimum(u, v) - half_width)
    return distance


def disk(u_BYX: Floats, v_BYX: Floats, form_B11: Floats) -> Floats:
    return _length(u_BYX, v_BYX) - (0.8 + 0.15 * form_B11)


def flower(u_BYX: Floats, v_BYX: Floats, form_B11: Floats) -> Floats:
    u, v = _fold_in_five(u_BYX, v_BYX)
    petal_radius = 0.34 + 0.06 * form_B11
    return _length(u, v - (1 - petal_radius)) - petal_radius


def heart(u_BYX: Floats, v_BYX: Floats, form_B11: Floats) -> Floats:
    """A square on its corner with a half-disk on each upper side."""
    size = 0.56 + 0.06 * form_B11
    u, v = np.abs(u_BYX) * size, v_BYX * size + 0.55
    lobe = _length(u - 0.25, v - 0.75) - 0.35355339
    body = np.maximum(u - v, u + v - 1) * 0.70710678
    distance: Floats = np.minimum(lobe, body) / size
    return distance


def ring(u_BYX: Floats, v_BYX: Floats, form_B11: Floats) -> Floats:
    half_width = 0.13 + 0.1 * form_B11
    distance: Floats = np.abs(_length(u_BYX, v_BYX) - (1 - half_width)) - half_width
    return distance


def square(u_BYX: Floats, v_BYX: Floats, form_B11: Floats) -> Floats:
    distance: Floats = np.maximum(np.abs(u_BYX), np.abs(v_BYX)) - (0.72 + 0.1 * form_B11)
    return distance


def star(u_BYX: Floats, v_BYX: Floats, form_B11: Floats) -> Floats:
    """Five points; ``form`` moves the inner corners from 0.38 to 0.5 of the outer radius."""
    u, v = _fold_in_five(u_BYX, v_BYX)
    inner = 0.38 + 0.12 * form_B11
    edge_u, edge_v = inner * _SIN_36, inner * _COS_36 - 1
    edge_length = np.sqrt(edge_u * edge_u + edge_v * edge_v)
    distance: Floats = ((v - 1) * edge_u - u * edge_v) / edge_length
    return distance


def triangle(u_BYX: Floats, v_BYX: Floats, form_B11: Floats) -> Floats:
    inradius = 0.5 + 0.08 * form_B11
    distance: Floats = np.maximum(np.abs(u_BYX) * _SQRT3_2 + 0.5 * v_BYX, -v_BYX) - inradius
    return distance


SILHOUETTES: Mapping[str, Silhouette] = MappingProxyType(
    {
        "arrow": arrow,
        "crescent": crescent,
        "cross": cross,
        "disk": disk,
        "flower": flower,
        "heart": heart,
        "ring": ring,
        "square": square,
        "star": star,
        "triangle": triangle,
    }
)
"""The signed distance of each class, in units of the shape's radius, in label order."""
