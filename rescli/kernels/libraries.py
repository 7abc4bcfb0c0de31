"""Which C a training on the CPU loads in which precision. Imports no torch: it is compiled before."""

from __future__ import annotations

__all__ = ["LIBRARIES"]

LIBRARIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "fp32": (("norm",), ("winograd",)),
    "bf16": (("norm", "MAP_BF16"), ("conv",)),
}
"""Precision to the arguments of ``compile_native`` for each library."""
