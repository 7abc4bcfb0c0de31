"""``rescli export``: a checkpoint as a file that other programs read, checked before it gets its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rescli.cli.options import Classes, Dataset, Json, RunDataRoot
from rescli.cli.output.messages import say
from rescli.cli.output.wording import in_flags

__all__ = ["export"]


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="A checkpoint (.safetensors), or a run directory: its last.", metavar="CKPT"),
    ],
    format: Annotated[
        str,
        typer.Option(
            help="Kind of file: onnx, torch-export (.pt2), torchvision, timm (state dicts), safetensors (and "
            "config.json), huggingface (a folder).",
            metavar="NAME",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="The file or folder to make; must not exist. Beside FILE.onnx comes FILE.py, which uses it.",
            metavar="PATH",
        ),
    ],
    precision: Annotated[
        Literal["fp32", "fp16", "bf16", "int8"],
        typer.Option(
            help="Weights and convolutions in this; inputs and logits stay float32. int8: onnx only."
        ),
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
        typer.Option(help="int8 with activations measured on training images, or anew in each pass."),
    ] = "static",
    calibration_images: Annotated[
        int, typer.Option(min=1, help="Training images that static quantization measures.")
    ] = 256,
    opset: Annotated[
        int | None,
        typer.Option(help="ONNX's operator set, 13 to 20. Unset: the oldest that can hold the network."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Fix the graph's batch size, for runtimes that want that. Unset: free."),
    ] = None,
    input_name: Annotated[
        str, typer.Option(help="What an ONNX graph calls its input.", metavar="NAME")
    ] = "images",
    output_name: Annotated[
        str, typer.Option(help="What an ONNX graph calls its output.", metavar="NAME")
    ] = "logits",
    check_images: Annotated[
        int | None,
        typer.Option(min=10, help="Images that the check compares. Unset: 1000, or 100 photographs."),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="What rescli eval --json printed of this checkpoint, to go along.", metavar="FILE"),
    ] = None,
    data_root: RunDataRoot = None,
    dataset: Dataset = None,
    classes: Classes = "same",
    json: Json = False,
) -> None:
    """Write a checkpoint for other programs, checked in their own runtime.

    Before the file gets its name it is read back in a process without rescli and held against the
    checkpoint on real images, the checkpoint's own or, with --dataset, others.

    rescli export ckpt.safetensors --format onnx --out net.onnx
    """
    from rescli.cli.export.output import print_export
    from rescli.cli.output.results import print_json
    from rescli.workflows import export as workflow

    said = {
        "the format safetensors": "--format safetensors",
        f"the format {format}": f"--format {format}",
        "opset must": "--opset must",
        f"{out} exists": f"--out {out} exists",
        f"{out}: a file": f"--out {out}: a file",
    }
    with in_flags(said):
        made = workflow.export(
            checkpoint,
            format,
            out,
            precision=precision,
            fold_bn=fold_bn,
            with_preprocessing=with_preprocessing,
            quantization=quantization,
            calibration_images=calibration_images,
            opset=opset,
            batch_size=batch_size,
            input_name=input_name,
            output_name=output_name,
            check_images=check_images,
            results=results,
            data_root=data_root,
            dataset=dataset,
            classes=classes,
            progress=say,
            warn=lambda text: say(f"warning: {text}"),
        )
    if json:
        print_json(made.facts)
    else:
        print_export(made.facts)
