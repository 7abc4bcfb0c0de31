"""``rescli analyze``: a closer look at trained nets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rescli.checkpoints.locate import named_checkpoint
from rescli.cli.options import Device, Json, RunDataRoot
from rescli.cli.output.messages import say
from rescli.cli.output.picture_files import require_picture_place, write_figure

__all__ = ["app"]

app = typer.Typer(help="A closer look at trained nets.", no_args_is_help=True)


@app.callback()
def analyze() -> None:
    """A closer look at trained nets."""


@app.command("responses")
def responses(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(help="Checkpoints (.safetensors), or run directories: their last.", metavar="CKPT"),
    ],
    figure: Annotated[
        Path | None, typer.Option(help="Draw Figure 7: .png, .svg or .pdf.", metavar="FILE")
    ] = None,
    split: Annotated[
        Literal["train", "val", "test"] | None,
        typer.Option(help="Images to look at. Unset: val, or train where none were set aside."),
    ] = None,
    data_root: RunDataRoot = None,
    device: Device = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass.")] = 250,
    json: Json = False,
) -> None:
    """Measure the responses of each 3x3 layer, as Figure 7.

    A response is the standard deviation of the output after BN and before the nonlinearity, in fp32.

    rescli analyze responses plain-56.safetensors resnet-56.safetensors --figure fig7.png
    """
    checkpoints = [named_checkpoint(path) for path in checkpoints]
    require_picture_place("--figure", figure)

    from rescli.cli.output.results import print_json
    from rescli.workflows.analyze import layer_responses

    found = layer_responses(
        checkpoints,
        split=split,
        data_root=data_root,
        device=device,
        batch_size=batch_size,
        on_start=lambda path: say(f"{path}: measuring ..."),
    )
    if json:
        print_json(found.to_json())
    else:
        print(found)
    if figure is not None:
        write_figure(figure, found.figure())
        say(f"figure: {figure}")
