"""ONNX by torch's dynamo exporter, for runtimes of several years; int8 by onnxruntime's quantizer."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from rescli.errors import UsageError
from rescli.exporters.base import Exporter, FormatFacts, Options, Subject
from rescli.exporters.choices import INPUT, NEWEST_OPSET, OLDEST_OPSET, OUTPUT
from rescli.exporters.description import json_text
from rescli.exporters.graph import FREE, capture
from rescli.exporters.onnx.lower import NeedsNewerOpset, lower, opset_of
from rescli.exporters.onnx.names import drop_traces, name_dimensions, rename
from rescli.exporters.onnx.program import program_path, program_text
from rescli.exporters.onnx.runtimes import IR_VERSIONS, readers_of
from rescli.exporters.parity import readers
from rescli.remedy import Remedy
from rescli.spec.base import ModelSpec

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["OnnxExporter"]

_TORCHS_OPSET = 18
"""The oldest operator set that torch writes."""


class OnnxExporter(Exporter):
    """One file and a program that uses it.

    The file's metadata has ``class_names`` (a JSON list), ``names`` (a JSON object, number to name, which
    readers of YOLO's files know), ``read_by``, and all of the description under ``rescli``.
    """

    kind = "onnx"
    suffixes = (".onnx",)
    packages = ("onnx", "onnxscript", "onnxruntime")
    extra = "onnx"
    precisions = ("fp32", "fp16", "int8")
    is_graph = True
    settings = ("opset", "batch_size", "input_name", "output_name")

    def unfit(self, model: ModelSpec, options: Options) -> str | None:
        if options.precision == "bf16":
            return "onnxruntime has no bf16 convolution on the CPU, so such a file cannot be checked."
        return None

    def beside(self, out: Path) -> list[Path]:
        return [program_path(out)]

    def write(self, subject: Subject, path: Path) -> FormatFacts:
        import onnx

        with _quiet():
            model, opset = _captured(subject)
            onnx.save(model, str(path))
            if subject.options.precision == "int8":
                _quantize(subject, path)
                model = onnx.load(str(path))
        described = subject.description
        read_by = readers_of(opset, subject.options, any_size=subject.checkpoint.dataset.any_size)
        values = {
            "rescli": described,
            "class_names": described["class_names"],
            "names": {str(number): name for number, name in enumerate(described["class_names"])},
            "read_by": read_by,
        }
        onnx.helper.set_model_props(model, {key: json_text(value) for key, value in values.items()})
        model.ir_version = IR_VERSIONS[opset]
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))
        program_path(path).write_text(program_text(subject, path), encoding="utf-8")
        return {"opset": opset, "ir_version": model.ir_version, "read_by": read_by}

    def reader(self, subject: Subject) -> list[str]:
        return [str(readers.__file__), "onnxruntime"]


def _captured(subject: Subject) -> tuple[ModelProto, int]:
    """The graph in the operator set that was asked for, else in the oldest that can hold it; and which.

    Raises:
        UsageError: that set cannot hold it; says which can.
    """
    options = subject.options
    program = torch.onnx.export(
        capture(subject),
        dynamo=True,
        opset_version=max(options.opset or OLDEST_OPSET, _TORCHS_OPSET),
        input_names=[INPUT],
        output_names=[OUTPUT],
        external_data=False,
        verbose=False,
    )
    assert program is not None
    whole = program.model_proto
    drop_traces(whole)
    name_dimensions(whole, FREE if options.with_preprocessing else {0: FREE[0]})
    rename(whole.graph, {INPUT: options.input_name, OUTPUT: options.output_name})
    lacking: NeedsNewerOpset | None = None
    for opset in range(options.opset or OLDEST_OPSET, NEWEST_OPSET + 1):
        model = type(whole)()
        model.CopyFrom(whole)
        try:
            if opset < opset_of(whole):
                lower(model, opset)
        except NeedsNewerOpset as error:
            lacking = lacking or error
            continue
        if lacking is not None and options.opset is not None:
            raise UsageError(
                f"{subject.checkpoint.model.name} cannot be written in ONNX's operator set {options.opset}: "
                f"that has no such {lacking.operator}.",
                remedy=Remedy("opset", opset),
            )
        return model, opset_of(model)
    raise AssertionError(f"operator set {opset_of(whole)} is torch's own")


def _quantize(subject: Subject, path: Path) -> None:
    """Convolutions in int8, one scale a channel of weights; the rest, and the logits, stay in float32."""
    from onnxruntime import quantization  # type: ignore[import-untyped]

    whole = path.with_suffix(".fp32.onnx")
    path.rename(whole)
    try:
        if subject.options.quantization == "dynamic":
            # Weights without a sign: onnxruntime before 1.17 has no convolution of others on the CPU.
            quantization.quantize_dynamic(
                str(whole),
                str(path),
                op_types_to_quantize=["Conv"],
                weight_type=quantization.QuantType.QUInt8,
            )
        else:
            quantization.quantize_static(
                str(whole),
                str(path),
                _Calibration(subject),
                op_types_to_quantize=["Conv"],
                per_channel=True,
                quant_format=quantization.QuantFormat.QDQ,
            )
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"onnxruntime cannot quantize this network: {' '.join(str(error).split())}"
        ) from error
    finally:
        whole.unlink(missing_ok=True)


class _Calibration:
    """Calibration inputs as onnxruntime asks for them: one at a time, then None."""

    def __init__(self, subject: Subject) -> None:
        self._name = subject.options.input_name
        inputs = subject.calibration()
        self._inputs = iter(inputs)
        self._seen, self._total = subject.counting("images measured"), sum(map(len, inputs))
        self._done = 0

    def get_next(self) -> dict[str, NDArray[np.float32 | np.uint8]] | None:
        images = next(self._inputs, None)
        if images is not None:
            self._seen(self._done, self._total)
            self._done += len(images)
        return None if images is None else {self._name: images.numpy()}


@contextmanager
def _quiet() -> Iterator[None]:
    """What exporter and quantizer say about themselves helps nobody here: the result is checked."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
