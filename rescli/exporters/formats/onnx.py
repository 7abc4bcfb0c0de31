"""ONNX by torch's dynamo exporter, with a free batch dimension; int8 by onnxruntime's quantizer."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rescli.errors import UsageError
from rescli.exporters.base import Exporter, FormatFacts, Options, Subject
from rescli.exporters.graph import INPUT, OUTPUT, capture
from rescli.exporters.parity import readers
from rescli.spec.base import ModelSpec

__all__ = ["OPSET", "OnnxExporter"]

OPSET = 20
"""The operators of ONNX 1.15 (2023), which onnxruntime 1.17 and TensorRT 10 read."""


class OnnxExporter(Exporter):
    """One file; its metadata has ``class_names``, and all of the description under ``rescli``."""

    kind = "onnx"
    suffixes = (".onnx",)
    packages = ("onnx", "onnxscript", "onnxruntime")
    extra = "onnx"
    precisions = ("fp32", "fp16", "int8")
    is_graph = True

    def unfit(self, model: ModelSpec, options: Options) -> str | None:
        if options.precision == "bf16":
            return "onnxruntime has no bf16 convolution on the CPU, so such a file cannot be checked."
        return None

    def write(self, subject: Subject, path: Path) -> FormatFacts:
        import onnx

        with _quiet():
            program = torch.onnx.export(
                capture(subject),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                external_data=False,
                verbose=False,
            )
            assert program is not None
            program.save(str(path))
            if subject.options.precision == "int8":
                _quantize(subject, path)
        model = onnx.load(str(path))
        texts = {
            "rescli": json.dumps(subject.description, ensure_ascii=False),
            "class_names": json.dumps(subject.description["class_names"], ensure_ascii=False),
        }
        onnx.helper.set_model_props(model, texts)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))
        return {
            "opset": max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
        }

    def reader(self, subject: Subject) -> list[str]:
        return [str(readers.__file__), "onnxruntime"]


def _quantize(subject: Subject, path: Path) -> None:
    """Convolutions in int8, one scale a channel of weights; the rest, and the logits, stay in float32."""
    from onnxruntime import quantization  # type: ignore[import-untyped]

    whole = path.with_suffix(".fp32.onnx")
    path.rename(whole)
    try:
        if subject.options.quantization == "dynamic":
            quantization.quantize_dynamic(str(whole), str(path), op_types_to_quantize=["Conv"])
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
        self._inputs = iter(subject.calibration())

    def get_next(self) -> dict[str, NDArray[np.float32 | np.uint8]] | None:
        images = next(self._inputs, None)
        return None if images is None else {INPUT: images.numpy()}


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
