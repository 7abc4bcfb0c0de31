"""What may be chosen of an export. No torch: it is checked before anything is imported."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = [
    "INPUT",
    "LEAST_IMAGES",
    "NEWEST_OPSET",
    "OLDEST_OPSET",
    "OUTPUT",
    "ExportPrecision",
    "Quantization",
]

ExportPrecision: TypeAlias = Literal["fp32", "fp16", "bf16", "int8"]

Quantization: TypeAlias = Literal["static", "dynamic"]

OLDEST_OPSET, NEWEST_OPSET = 13, 20
"""ONNX's operator sets that a file may have: 13 is of 2020, 20 of 2023. One scale a channel, which int8 has,
is not in 12."""

INPUT, OUTPUT = "images", "logits"
"""What a graph's input and output are called unless somebody names them."""

LEAST_IMAGES = 10
"""Images that the check's batches of 1, 2 and 7 take; where a set has fewer, they are repeated."""
