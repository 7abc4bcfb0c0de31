"""``rescli models``: which networks there are, and what one of them is made of."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rescli.models.complexity import Complexity
    from rescli.spec.base import ModelSpec

__all__ = ["app"]

app = typer.Typer(help="List the networks, or show one layer by layer.", add_completion=False)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]


@app.callback(invoke_without_command=True)
def _models(context: typer.Context, as_json: _Json = False) -> None:
    """List the networks, or show one layer by layer."""
    # Kept for the subcommands, so that --json counts on either side of their name.
    context.obj = as_json
    if context.invoked_subcommand is None:
        _print_list(as_json=as_json)


@app.command("list")
def list_models(context: typer.Context, as_json: _Json = False) -> None:
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
    as_json: _Json = False,
) -> None:
    """Show a network's layers as Table 1 does, its parameters and its multiply-adds."""
    from rescli.models.naming import default_image_size, parse_model_name
    from rescli.models.specs import model_spec

    given = {"shortcut": shortcut, "stride_on": stride_on}
    kind, depth = parse_model_name(name)
    size = image_size or default_image_size(depth, kind=kind)
    spec = model_spec(
        name, image_size=size, **{key: value for key, value in given.items() if value is not None}
    )
    family = getattr(spec, "family", None)
    classes = num_classes or (1000 if family == "imagenet" else 10)
    layout = spec.layout(num_classes=classes, image_size=size)
    counted = _count(spec, image_size=size, num_classes=classes)
    facts = {
        "name": spec.name,
        "family": family,
        "shortcut": getattr(spec, "shortcut", None),
        "stride_on": getattr(spec, "stride_on", None),
        "image_size": size,
        "num_classes": classes,
        "params": counted.params,
        "macs": counted.macs,
        "rows": [asdict(row) for row in layout.rows] if layout else [],
    }
    if as_json or context.obj:
        typer.echo(json.dumps(facts, ensure_ascii=False))
    else:
        _print_facts(facts)


def _count(spec: ModelSpec, *, image_size: int, num_classes: int) -> Complexity:
    """Parameters and multiply-adds of the net as built, counted by hooks."""
    from contextlib import nullcontext

    import torch

    from rescli.models.complexity import complexity

    # Our own nets are built without memory or random numbers; a plugin's build may not know how.
    ours = spec.layout(num_classes=num_classes, image_size=image_size) is not None
    with torch.device("meta") if ours else nullcontext():
        model = spec.build(num_classes=num_classes, image_size=image_size, seed=0)
    return complexity(model, image_size=image_size)


def _print_facts(facts: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    options = [
        f"{label} {facts[key]}"
        for key, label in (("shortcut", "shortcut"), ("stride_on", "stride on"))
        if facts[key]
    ]
    size = facts["image_size"]
    title = ", ".join([facts["name"], *options, f"{size}×{size} images", f"{facts['num_classes']} classes"])
    console = Console(highlight=False, soft_wrap=True)
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
            # The pool above its blocks as in Table 1; the brackets are the table's, not rich markup.
            text = row["text"].replace("; [", "\n[").replace("[", r"\[")
            table.add_row(
                row["name"], f"{side}×{side}", text, f"{row['params']:,}", f"{row['macs'] / 1e6:,.1f}"
            )
        console.print(table)
    console.print(f"params  {facts['params']:,}")
    console.print(f"MACs    {facts['macs']:,} per image ({facts['macs'] / 1e9:.3f}e9)")


def _print_list(*, as_json: bool) -> None:
    from rescli import registry
    from rescli.errors import UsageError

    models = []
    for kind in registry.names("models"):
        try:
            models.append(_describe(kind))
        except UsageError as error:
            typer.echo(f"warning: {error}", err=True)
    if as_json:
        typer.echo(json.dumps({"models": models}, ensure_ascii=False))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("name", "depths", "options (--set model.KEY=VALUE)"):
        table.add_column(column, overflow="fold")
    for model in models:
        depths = [f"{family}: {text}" for family, text in model["families"].items()]
        options = [
            f"{key}: {' '.join(values)}" if values else key for key, values in model["options"].items()
        ]
        table.add_row(model["name"], "\n".join(depths) or model["about"], "\n".join(options))
    Console(highlight=False).print(table)


def _describe(kind: str) -> dict[str, Any]:
    from typing import Literal, get_args, get_origin

    from rescli import registry
    from rescli.models.naming import table1_depths
    from rescli.paper import CIFAR_DEPTHS

    model_class: type[ModelSpec] = registry.load("models", kind)
    options = {
        key: [str(value) for value in get_args(field.annotation)]
        if get_origin(field.annotation) is Literal
        else []
        for key, field in model_class.model_fields.items()
        if key not in ("kind", "depth")
    }
    if "block" in options:
        options["block"] = registry.names("blocks")
    families = {}
    if kind in ("plain", "resnet"):
        families = {
            "cifar": f"6n+2 (the paper: {' '.join(map(str, CIFAR_DEPTHS))})",
            "imagenet": " ".join(map(str, table1_depths(kind))),
        }
    return {
        "kind": kind,
        "name": f"{kind}-N" if "depth" in model_class.model_fields else kind,
        "about": (model_class.__doc__ or "").strip().partition("\n")[0],
        "families": families,
        "options": options,
        "origin": registry.origin("models", kind)[0],
    }
