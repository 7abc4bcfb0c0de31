"""``rescli export``: a checkpoint as a file that other programs read, checked before it gets its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rescli.checkpoints.locate import named_checkpoint
from rescli.cli.output.messages import say
from rescli.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from rescli.checkpoints.checkpoint import Checkpoint
    from rescli.exporters.base import Exporter
    from rescli.exporters.parity.sample import Sample

__all__ = ["export"]

_SMALL_IMAGES, _PHOTOS = 1000, 100
"""Images of the check unless the user says else: of 32x32 and of any size."""

_LEAST_IMAGES = 10
"""One batch each of 1, 2 and 7."""


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="A checkpoint (.safetensors), or a run directory: its last.", metavar="CKPT"),
    ],
    format: Annotated[
        str,
        typer.Option(
            help="onnx, torch-export (.pt2), torchvision, timm (state dicts), safetensors (and config.json), "
            "huggingface (a folder).",
            metavar="NAME",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file or folder to make; must not exist.", metavar="PATH")],
    precision: Annotated[
        Literal["fp32", "fp16", "bf16", "int8"],
        typer.Option(help="Of weights and convolutions; inputs and logits stay float32. int8: onnx only."),
    ] = "fp32",
    fold_bn: Annotated[
        bool, typer.Option("--fold-bn", help="Fold batch normalisation into the convolutions.")
    ] = False,
    with_preprocessing: Annotated[
        bool,
        typer.Option(
            "--with-preprocessing",
            help="Take uint8 images (N, H, W, 3) as they are: resize, crop and normalise inside the graph.",
        ),
    ] = False,
    quantization: Annotated[
        Literal["static", "dynamic"],
        typer.Option(help="Of int8: activations measured on training images, or anew in each pass."),
    ] = "static",
    calibration_images: Annotated[
        int, typer.Option(min=1, help="Training images that static quantization measures.")
    ] = 256,
    check_images: Annotated[
        int | None,
        typer.Option(
            min=_LEAST_IMAGES,
            help="Images that the check compares. Unset: 1000, or 100 photographs.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="What rescli eval --json printed of this checkpoint, to go along.", metavar="FILE"),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(help="Where the images lie; else RESCLI_DATA, else the cache.", metavar="DIR"),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Other images than the checkpoint's set, e.g. imagefolder.", metavar="NAME"),
    ] = None,
    classes: Annotated[
        Literal["same", "wnids", "names"],
        typer.Option(help="How their classes belong to the network's, as in eval."),
    ] = "same",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Write a checkpoint for other programs, checked in their own runtime before the file gets its name.

    It is read back in a process without rescli and held against the checkpoint on real images.

    rescli export ckpt.safetensors --format onnx --out net.onnx
    """
    checkpoint = named_checkpoint(checkpoint)  # before the seconds of importing torch
    exporter = _exporter(format)
    _require_new(out, exporter)

    from rescli.checkpoints.checkpoint import Checkpoint
    from rescli.cli.export.output import print_export
    from rescli.cli.output.results import print_json
    from rescli.exporters.base import Options, Subject
    from rescli.exporters.description import describe
    from rescli.exporters.export import export as write_checked
    from rescli.exporters.export import require_fit
    from rescli.exporters.parity.sample import draw_sample
    from rescli.runs.known_results import measured_results
    from rescli.spec.from_names import named_dataset

    options = Options(precision, fold_bn, with_preprocessing, quantization)
    read = Checkpoint.read(checkpoint)
    require_fit(exporter, read.model, options)
    description = describe(read, options, measured_results(checkpoint, read, results))
    images = named_dataset(dataset) if dataset is not None else None

    def draw(count: int, **given: Any) -> Sample:
        return draw_sample(read, dataset=images, matching=classes, data_root=data_root, count=count, **given)

    sample = _sample(draw, read, check_images, required=data_root is not None or images is not None)
    subject = Subject(
        read, options, description, lambda: _calibration(draw, read, options, calibration_images)
    )
    say(f"{checkpoint}: writing and checking ...")
    made = write_checked(exporter, subject, out, sample)
    facts = {**description, "format": exporter.kind, "checkpoint_file": str(checkpoint), **made}
    if json:
        print_json(facts)
    else:
        print_export(facts)


def _exporter(name: str) -> Exporter:
    from rescli import registry
    from rescli.errors import UnknownNameError

    known = registry.names("exporters")
    if name not in known:
        raise UnknownNameError("format", name, known)
    made: Exporter = registry.load("exporters", name)()
    return made


def _require_new(out: Path, exporter: Exporter) -> None:
    if exporter.suffixes and out.suffix not in exporter.suffixes:
        raise UsageError(
            f"--out {out}: a file of --format {exporter.kind} ends in {' or '.join(exporter.suffixes)}.",
            hint=f"--out {out.with_suffix(exporter.suffixes[0])}" if out.name else None,
        )
    if os.path.lexists(out):
        raise UsageError(
            f"--out {out} exists and is not overwritten.", hint="name another place, or remove it"
        )
    config = out.parent / "config.json"
    if exporter.kind == "safetensors" and os.path.lexists(config):
        raise UsageError(
            f"{config} exists and is not overwritten; --format safetensors puts one beside its weights.",
            hint=f"a folder of its own: --out {out.parent / out.stem / out.name}",
        )


def _sample(
    draw: Callable[[int], Sample], checkpoint: Checkpoint, count: int | None, *, required: bool
) -> Sample:
    """Images of the checkpoint's set; where they are absent and nobody named a place, embedded ones."""
    from rescli.exporters.parity.sample import stand_in_sample

    wanted = count or (_PHOTOS if checkpoint.dataset.any_size else _SMALL_IMAGES)
    try:
        sample = draw(wanted)
    except DataError as error:
        if required:
            raise
        say(f"warning: no real images of {checkpoint.dataset.kind} for the check: {error}")
        say("warning: embedded shapes are used instead; they show whether logits agree, not the error.")
        return stand_in_sample(wanted)
    if len(sample) < _LEAST_IMAGES:
        raise DataError(
            f"{sample.dataset} {sample.split} has {len(sample)} images; the check needs {_LEAST_IMAGES}."
        )
    return sample


def _calibration(
    draw: Callable[..., Sample], checkpoint: Checkpoint, options: Any, count: int
) -> Sequence[Tensor]:
    """Inputs of static quantization, of the training part, as the exported network takes them."""
    from rescli.exporters.parity.sample import raw_passes

    try:
        sample = draw(count, splits=("train", "all", "val", "test"))
    except DataError as error:
        raise DataError(
            f"static quantization needs images of {checkpoint.dataset.kind} to measure activations: {error}",
            hint="--data-root DIR, or --quantization dynamic",
        ) from error
    return [one.array for one in raw_passes(sample, checkpoint, raw=options.with_preprocessing)]
