"""``rescli models``: which networks there are, and what one of them is made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from rescli.cli.options import Json
from rescli.plurals import counted

if TYPE_CHECKING:
    from rescli.workflows.listings.models import ModelFacts

__all__ = ["app"]

app = typer.Typer(help="List the networks, or show one layer by layer.", add_completion=False)


@app.callback(invoke_without_command=True)
def _models(context: typer.Context, as_json: Json = False) -> None:
    """List the networks, or show one layer by layer."""
    # Kept for the subcommands, so that --json counts on either side of their name.
    context.obj = as_json
    if context.invoked_subcommand is None:
        _print_list(as_json=as_json)


@app.command("list")
def list_models(context: typer.Context, as_json: Json = False) -> None:
    """List the networks with their depths and options."""
    _print_list(as_json=as_json or bool(context.obj))


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="resnet-N or plain-N, such as resnet-56.")],
    shortcut: Annotated[
        str | None,
        typer.Option(help="A zero padding, B projection where the size changes, C projection everywhere."),
    ] = None,
    stride_on: Annotated[
        str | None, typer.Option(help="Stride of a bottleneck: on its 1x1 (the paper) or 3x3 (torchvision).")
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(min=1, help="Side of the images in pixels. Default: 224 for Table 1's depths, else 32."),
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option(min=1, help="Default: 1000 for ImageNet nets, 10 for CIFAR nets.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a network's layers as Table 1 does, with parameters and multiply-adds."""
    from rescli.workflows.listings.models import show_model

    facts = show_model(
        name, shortcut=shortcut, stride_on=stride_on, image_size=image_size, num_classes=num_classes
    )
    if as_json or context.obj:
        typer.echo(json.dumps(facts))
    else:
        _print_facts(facts)


def _print_facts(facts: ModelFacts) -> None:
    from rich import box
    from rich.table import Table

    from rescli.report.console import SafeConsole

    given = (("shortcut", facts["shortcut"]), ("stride on", facts["stride_on"]))
    options = [f"{label} {value}" for label, value in given if value]
    size = facts["image_size"]
    title = ", ".join(
        [facts["name"], *options, f"{size}×{size} images", counted(facts["num_classes"], "class")]
    )
    console = SafeConsole(soft_wrap=True)
    console.print(title)
    if facts["rows"]:
        # Narrow enough for 80 columns, which is what rich assumes where stdout is no terminal.
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column("layer", no_wrap=True)
        table.add_column("output", justify="right", no_wrap=True)
        table.add_column("layers", no_wrap=True)
        table.add_column("params", justify="right", no_wrap=True)
        table.add_column("1e6 MACs", justify="right", no_wrap=True)
        for row in facts["rows"]:
            side = row["output_size"]
            # The pool above its blocks as in Table 1.
            text = row["text"].replace("; [", "\n[")
            table.add_row(
                row["name"], f"{side}×{side}", text, f"{row['params']:,}", f"{row['macs'] / 1e6:,.1f}"
            )
        console.print(table)
    console.print(f"params  {facts['params']:,}")
    console.print(f"MACs    {facts['macs']:,} per image ({facts['macs'] / 1e9:.3f}e9)")


def _print_list(*, as_json: bool) -> None:
    from rescli.workflows.listings.models import list_models

    found, problems = list_models()
    for problem in problems:
        typer.echo(f"warning: {problem}", err=True)
    if as_json:
        typer.echo(json.dumps(found))
        return

    from rich.table import Table

    from rescli.report.console import SafeConsole

    table = Table()
    for column in ("name", "depths", "options (--set model.KEY=VALUE)"):
        table.add_column(column, overflow="fold")
    for model in found["models"]:
        depths = [f"{family}: {text}" for family, text in model["families"].items()]
        options = [
            f"{key}: {' '.join(values)}" if values else key for key, values in model["options"].items()
        ]
        table.add_row(model["name"], "\n".join(depths) or model["about"], "\n".join(options))
    SafeConsole().print(table)
