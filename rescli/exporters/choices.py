"""What may be chosen of an export. No torch: it is checked before anything is imported."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["ExportPrecision", "Quantization"]

ExportPrecision: TypeAlias = Literal["fp32", "fp16", "bf16", "int8"]

Quantization: TypeAlias = Literal["static", "dynamic"]
