"""A checkpoint as a file that other programs read, checked before it gets its name."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rescli import registry
from rescli.checkpoints.locate import Source, source_path
from rescli.errors import UnknownNameError, UsageError
from rescli.evaluation.classes import MATCHINGS, Matching
from rescli.exporters.choices import (
    INPUT,
    LEAST_IMAGES,
    NEWEST_OPSET,
    OLDEST_OPSET,
    OUTPUT,
    ExportPrecision,
    Quantization,
)
from rescli.files import require_nameable
from rescli.foreign_text import html_text
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.report.table import short
from rescli.workflows.arguments import check_count, check_name
from rescli.workflows.notes import with_notes

if TYPE_CHECKING:
    from rescli.exporters.base import Exporter
    from rescli.exporters.export import ExportFacts
    from rescli.exporters.parity.check import ExportCheck

__all__ = ["ExportResult", "export"]

_log = logging.getLogger(__name__)

_MADE_FROM = {
    **dict.fromkeys(("tensorrt", "trt", "engine", "openvino", "ncnn", "tflite", "opencv"), "onnx"),
    **dict.fromkeys(("coreml", "executorch", "aoti"), "torch-export"),
}
"""Formats that are not written here, by the names that people type, and what their tools begin with."""


@dataclass(frozen=True, repr=False)
class ExportResult:
    """An export whose file was read back without rescli and held against the checkpoint.

    Args:
        facts: everything about the file and the check, as ``rescli export`` prints it as JSON.
    """

    facts: ExportFacts

    @property
    def files(self) -> list[Path]:
        """What was written, the file asked for first."""
        return [Path(file) for file in self.facts["files"]]

    @property
    def check(self) -> ExportCheck:
        """What was compared, and by how much it differs."""
        return self.facts["check"]

    def __repr__(self) -> str:
        return short("Export", [f"{key}: {text}" for key, text in self._rows().items()])

    def _repr_html_(self) -> str:
        cells = (f"<tr><th>{key}</th><td>{html_text(text)}</td></tr>" for key, text in self._rows().items())
        return f"<table>{''.join(cells)}</table>"

    def _rows(self) -> dict[str, str]:
        check = self.check
        return {
            "network": f"{self.facts['model']}, {self.facts['format']}, {self.facts['precision']}",
            "files": ", ".join(self.facts["files"]),
            "size": f"{self.facts['bytes'] / 1e6:.2f} MB",
            "checked with": f"{check['runtime']}, {counted(check['num_images'], 'image')} of "
            f"{check['dataset']}",
            "largest difference of a logit": f"{check['largest_difference']:.2e}",
            "top-1 agreement": f"{check['top1_agreement']:.2f} %",
        }


@with_notes
def export(
    source: Source,
    format: str,
    out: str | os.PathLike[str],
    *,
    precision: ExportPrecision = "fp32",
    fold_bn: bool = False,
    with_preprocessing: bool = False,
    quantization: Quantization = "static",
    calibration_images: int = 256,
    opset: int | None = None,
    batch_size: int | None = None,
    input_name: str = INPUT,
    output_name: str = OUTPUT,
    check_images: int | None = None,
    results: str | os.PathLike[str] | None = None,
    data_root: str | os.PathLike[str] | None = None,
    dataset: str | None = None,
    classes: Matching = "same",
    progress: Callable[[str], None] | None = None,
    warn: Callable[[str], None] = _log.warning,
) -> ExportResult:
    """Write a checkpoint for other programs; it gets its name once it was checked in their own runtime.

    Args:
        source: a loaded net, a run or its directory, a checkpoint, an exported folder.
        format: ``onnx``, ``torch-export``, ``torchvision``, ``timm``, ``safetensors`` or ``huggingface``.
        out: the file or folder to make; it must not exist. Beside an ONNX file comes a program that uses it.
        precision: what weights and convolutions are in; inputs and logits stay float32. int8: onnx only.
        fold_bn: fold batch normalisation into the convolutions.
        with_preprocessing: take uint8 images (N, H, W, 3): resize, crop and normalise inside the graph.
        quantization: how int8 finds the range of activations: ``static`` or ``dynamic``.
        calibration_images: training images that static quantization measures.
        opset: ONNX's operator set, 13 to 20; None for the oldest that can hold the network, which the most
            runtimes read.
        batch_size: images of every forward pass; None where that stays free.
        input_name: what a graph calls its input.
        output_name: what a graph calls its output.
        check_images: images that the check compares; None for 1000, or 100 photographs.
        results: a file with what ``rescli eval`` printed as JSON of this checkpoint, to go along.
        data_root: where the images lie; None for where the run had them, RESCLI_DATA, else the cache.
        dataset: another data set than the checkpoint's.
        classes: how its classes belong to the network's: ``same``, ``wnids`` or ``names``.
        progress: called with what begins, and every ten seconds with how far it is.
        warn: called where the check has to do with few images, or without real ones.

    Returns:
        What was written and how it was checked.

    Raises:
        UsageError: an unknown format, one that does not have this network, or a file that exists.
        CheckpointError: the checkpoint is missing or damaged, or the disk is full.
        DataError: images that were asked for are missing.
        VerificationError: the file does not compute what the checkpoint does; nothing is left of it.

    Example:
        >>> import rescli
        >>> small = {"iterations": 6, "data.batch_size": 16, "data.dataset.num_train": 200}
        >>> run = rescli.train(rescli.spec("resnet-8", small, dataset="shapes"), out="runs/tiny")
        >>> made = rescli.export(run, "safetensors", "exported/net.safetensors", check_images=10)
        >>> [file.name for file in made.files], made.check["top1_agreement"]
        (['net.safetensors', 'config.json'], 100.0)
    """
    check_name("precision", precision, get_args(ExportPrecision))
    check_name("quantization", quantization, get_args(Quantization))
    check_name("classes", classes, MATCHINGS)
    check_count("calibration_images", calibration_images, least=1)
    check_count("opset", opset, least=OLDEST_OPSET, most=NEWEST_OPSET)
    check_count("batch_size", batch_size, least=1)
    check_count("check_images", check_images, least=LEAST_IMAGES)
    checkpoint, out = source_path(source), Path(out)  # before the seconds of importing torch
    exporter = _exporter(format)
    _require_new(out, exporter)

    from rescli.exporters.base import Options, Subject
    from rescli.exporters.description import describe
    from rescli.exporters.export import export as write_checked
    from rescli.exporters.export import require_fit
    from rescli.exporters.parity.image_source import ImageSource, calibration_inputs
    from rescli.report.progress.counting import counting_lines
    from rescli.runs.directory import noted_data_root
    from rescli.runs.evaluating.known_results import known_results
    from rescli.spec.from_names import named_dataset
    from rescli.workflows.load import checkpoint_of

    options = Options(
        precision, fold_bn, with_preprocessing, quantization, opset, batch_size, input_name, output_name
    )
    read = checkpoint_of(source)
    require_fit(exporter, read.model, options)
    given = None if results is None else Path(results)
    description = describe(read, options, known_results(checkpoint, read, given))
    images = ImageSource(
        read,
        named_dataset(dataset) if dataset is not None else None,
        classes,
        None if data_root is None else Path(data_root),
        noted_data_root(checkpoint),
    )
    is_measured = precision == "int8" and quantization == "static"
    measured = images.to_calibrate(calibration_images, warn) if is_measured else None
    sample = images.to_check(check_images, options, warn)
    num_measured = 0 if measured is None else len(measured)
    subject = Subject(
        read,
        options,
        description,
        lambda: calibration_inputs(measured, read, options),
        num_measured,
        num_measured >= calibration_images,
        lambda unit: counting_lines(unit, progress or _unheard),
    )
    if progress is not None:
        progress(f"{checkpoint}: writing and checking ...")
    made = write_checked(exporter, subject, out, sample)
    facts: ExportFacts = {
        **description,
        "format": exporter.kind,
        "checkpoint_file": str(checkpoint),
        **made,
    }
    return ExportResult(facts)


def _unheard(_text: str) -> None:
    pass


def _exporter(name: str) -> Exporter:
    known = registry.names("exporters")
    if name not in known and (instead := _MADE_FROM.get(name.casefold())) in known:
        raise UsageError(
            f"there is no format {name!r}; it is made from a file of the format {instead}, by its own tools.",
            remedy=Remedy("format", instead),
        )
    if name not in known:
        raise UnknownNameError("format", name, known)
    made: Exporter = registry.load("exporters", name)()
    return made


def _require_new(out: Path, exporter: Exporter) -> None:
    require_nameable(out)
    if exporter.suffixes and out.suffix not in exporter.suffixes:
        raise UsageError(
            f"{out}: a file of the format {exporter.kind} ends in {' or '.join(exporter.suffixes)}.",
            remedy=Remedy("out", out.with_suffix(exporter.suffixes[0])) if out.name else (),
        )
    if os.path.lexists(out):
        raise UsageError(f"{out} exists and is not overwritten.", hint="name another place, or remove it")
    for beside in exporter.beside(out):
        if os.path.lexists(beside):
            raise UsageError(
                f"{beside} exists and is not overwritten; the format {exporter.kind} puts one beside its "
                "file.",
                remedy=Remedy("out", out.parent / out.stem / out.name, "a folder of its own"),
            )
