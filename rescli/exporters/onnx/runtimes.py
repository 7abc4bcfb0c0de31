"""Which runtimes read an ONNX file: by its operator set, and by what is in it.

onnxruntime's versions are by its own table of operator sets, and tried from 1.15 on. OpenCV's were tried:
4.5.5, 4.6, 4.7, 4.8.1, 4.9, 4.10, 4.11, 4.14 and 5.0.
"""

from __future__ import annotations

from rescli.exporters.base import Options

__all__ = ["IR_VERSIONS", "readers_of"]

IR_VERSIONS = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9}
"""Operator set to the version of the file format that it came with: the lowest that may hold it."""

_ONNXRUNTIME = {13: "1.6", 14: "1.8", 15: "1.10", 16: "1.12", 17: "1.12", 18: "1.14", 19: "1.16", 20: "1.17"}

_AXES_AS_INPUT = 18
"""From this operator set on the mean over height and width has its axes as an input, which OpenCV learned
late."""


def readers_of(opset: int, options: Options, *, any_size: bool) -> list[str]:
    """What reads such a file, for people: ``onnxruntime from 1.6``, ``OpenCV from 4.5.5, but not 4.8``.

    Args:
        opset: of the file.
        options: how the network was written.
        any_size: whether the network is one of photographs, which have no common size.
    """
    readers = [f"onnxruntime from {_ONNXRUNTIME[opset]}"]
    opencv = _opencv(opset, options, any_size=any_size)
    return [*readers, f"OpenCV {opencv}"] if opencv else readers


def _opencv(opset: int, options: Options, *, any_size: bool) -> str | None:
    if options.precision == "int8" and options.quantization == "dynamic":
        return None
    if options.with_preprocessing and any_size:
        return "from 5.0"
    if opset >= _AXES_AS_INPUT:
        return "from 4.9"
    # 4.8 reads these files and computes something else of some.
    return f"from {'4.5.5' if options.precision == 'fp32' else '4.7'}, but not 4.8"
