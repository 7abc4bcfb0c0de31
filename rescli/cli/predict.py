"""``rescli predict``: what a trained net takes pictures for."""

from __future__ import annotations

import codecs
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rescli.checkpoints.locate import named_checkpoint
from rescli.cli.eval.protocol_flags import Flip, MultiScale, ProtocolName, TenCrop, one_protocol
from rescli.cli.options import Device, EvalBatchSize, EvalPrecision, Json
from rescli.cli.output.messages import say
from rescli.cli.output.picture_files import require_picture_place, require_writable, write_figure
from rescli.errors import DataError, UsageError

if TYPE_CHECKING:
    from rescli.workflows.results.predictions import Predictions

__all__ = ["predict"]


def predict(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint (.safetensors), a run directory or an exported folder.", metavar="CKPT"
        ),
    ],
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Image files, folders (with all folders below them), or - for names on stdin, one a line.",
            metavar="PATH",
        ),
    ],
    top: Annotated[int, typer.Option(min=1, help="Classes to keep for each picture.")] = 5,
    csv: Annotated[
        Path | None, typer.Option(help="Write file, classes and probabilities.", metavar="FILE")
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw the pictures with their labels: .png, .svg or .pdf.", metavar="FILE"),
    ] = None,
    flip: Flip = False,
    ten_crop: TenCrop = False,
    multi_scale: MultiScale = False,
    protocol: ProtocolName = None,
    device: Device = "auto",
    precision: EvalPrecision = "auto",
    batch_size: EvalBatchSize = None,
    json: Json = False,
) -> None:
    """Classify pictures with a trained net, prepared exactly as for rescli eval.

    rescli predict runs/NAME photo.jpg holiday/ --figure sheet.png

    find . -name '*.jpg' | rescli predict net.safetensors - --csv labels.csv
    """
    # All this before the seconds of importing torch.
    checkpoint = named_checkpoint(checkpoint)
    name = one_protocol(protocol, flip=flip, ten_crop=ten_crop, multi_scale=multi_scale)
    require_picture_place("--figure", figure)
    if csv is not None:
        require_writable(csv)
    files = _named(paths)

    from rescli.workflows.running.torch_import import importing_torch, preload_torch

    preload_torch()
    with importing_torch():
        from rescli.workflows.predict import predict as predict_pictures

    predictions = predict_pictures(
        checkpoint,
        files,
        top=top,
        protocol=name,
        device=device,
        precision=precision,
        batch_size=batch_size,
    )
    # Files before words: stdout may be a pipe that nobody reads to its end.
    if csv is not None:
        predictions.to_csv(csv)
        say(f"table: {csv}")
    if figure is not None:
        write_figure(figure, predictions.figure())
        say(f"figure: {figure}")
    if len(predictions) and not json:  # which tells it itself
        say(f"prepared: {predictions.preparation}")
    _print(predictions, as_json=json)
    for skipped in predictions.skipped:
        say(f"skipped: {skipped.reason}")
    if predictions.skipped:
        count = len(predictions.skipped)
        also = "; the others are above" if len(predictions) else ""
        raise DataError(
            f"{count} of {count + len(predictions)} could not be read{also}.", page="damaged-photographs"
        )


def _named(paths: list[str]) -> list[str]:
    """``-`` stands for the names on stdin, one a line."""
    if paths.count("-") > 1:
        raise UsageError("- is given twice; stdin can be read once.")
    names: list[str] = []
    for path in paths:
        names += _on_stdin() if path == "-" else [path]
    if not names:
        raise UsageError("no picture was named on stdin.", hint="one file or folder a line")
    return names


def _on_stdin() -> list[str]:
    """As the file system has them: a name need not be text in the terminal's encoding."""
    if sys.stdin is None or sys.stdin.closed:
        raise UsageError(
            "- stands for names on stdin, which is closed.", hint="find . | rescli predict CKPT -"
        )
    content = sys.stdin.buffer.read() if hasattr(sys.stdin, "buffer") else os.fsencode(sys.stdin.read())
    content = content.removeprefix(codecs.BOM_UTF8)  # with which some programs mark a text
    return [os.fsdecode(line) for line in content.splitlines() if line]


def _print(predictions: Predictions, *, as_json: bool) -> None:
    if as_json:
        from rescli.cli.output.results import print_json

        print_json(predictions.to_json())
    elif len(predictions):
        print(predictions)
