"""``rescli analyze``: a closer look at trained nets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rescli.checkpoints.locate import named_checkpoint
from rescli.cli.output.messages import say
from rescli.errors import UsageError

if TYPE_CHECKING:
    from rescli.studies.responses import ResponsesRow

__all__ = ["app"]

app = typer.Typer(help="A closer look at trained nets.", no_args_is_help=True)

_FIGURE_SUFFIXES = (".pdf", ".png", ".svg")


@app.callback()
def analyze() -> None:
    """A closer look at trained nets."""


@app.command("responses")
def responses(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(help="Checkpoints (.safetensors), or run directories: their last.", metavar="CKPT..."),
    ],
    figure: Annotated[
        Path | None, typer.Option(help="Draw Figure 7: .png, .svg or .pdf.", metavar="FILE")
    ] = None,
    split: Annotated[
        Literal["train", "val", "test"] | None,
        typer.Option(help="Images to look at; unset: val, or train where none were set aside."),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(help="Where the data lies; else RESCLI_DATA, else the cache.", metavar="DIR"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass.")] = 250,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Standard deviation of each 3x3 layer's output after BN, before the nonlinearity, as Figure 7. In fp32.

    rescli analyze responses plain-56.safetensors resnet-56.safetensors --figure fig7.png
    """
    checkpoints = [named_checkpoint(path) for path in checkpoints]
    if figure is not None and figure.suffix.lower() not in _FIGURE_SUFFIXES:
        raise UsageError(f"--figure {figure}: a picture ends in one of {', '.join(_FIGURE_SUFFIXES)}.")
    if figure is not None and not figure.absolute().parent.is_dir():
        raise UsageError(f"no such folder: {figure.parent}", hint=f"mkdir -p {figure.parent}")

    from rescli.cli.output.results import print_json
    from rescli.files import write_atomically
    from rescli.report.figures import responses_figure
    from rescli.studies.responses import measure_responses

    rows = []
    for path in checkpoints:
        say(f"{path}: measuring ...")
        rows.append(measure_responses(path, split, data_root, device, batch_size))
    if json:
        print_json({"results": rows})
    else:
        _print(rows)
    if figure is not None:
        lines = [(row["model"], [layer["std"] for layer in row["layers"]]) for row in rows]
        write_atomically(figure, responses_figure(lines, format=figure.suffix.lower().removeprefix(".")))
        say(f"figure: {figure}")


def _print(rows: list[ResponsesRow]) -> None:
    for row in rows:
        where = f"{row['num_images']} images of {row['dataset']} {row['split']}"
        print(f"{row['model']}: {len(row['layers'])} 3x3 layers, {where}; mean std {row['mean_std']:.4f}\n")
        width = max(5, *(len(layer["layer"]) for layer in row["layers"]))
        highest = max(layer["std"] for layer in row["layers"]) or 1.0
        print(f"{'layer':{width}}     std")
        for layer in row["layers"]:
            bar = "#" * round(40 * layer["std"] / highest)
            print(f"{layer['layer']:{width}}  {layer['std']:6.4f}  {bar}")
        print()
