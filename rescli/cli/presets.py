"""``rescli presets``: list the shipped specs, show one whole."""

from __future__ import annotations

from typing import Annotated

import typer

from rescli.cli.options import Json

__all__ = ["app"]

app = typer.Typer(help="List the shipped presets, or show one.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def presets(context: typer.Context) -> None:
    """List the shipped presets, or show one."""
    if context.invoked_subcommand is None:
        list_presets(json=False)


@app.command("list")
def list_presets(json: Json = False) -> None:
    """List the names of all presets, each with the first line of its file."""
    from rescli.cli.output.columns import print_hanging
    from rescli.cli.output.results import print_json
    from rescli.workflows.listings import presets as workflow

    summaries = workflow.presets()
    if json:
        print_json({"presets": [{"name": name, "summary": text} for name, text in summaries.items()]})
        return
    width = max(map(len, summaries))
    for name, text in summaries.items():
        print_hanging(f"{name:{width}}  ", text)


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="A preset, or a .toml file.")], json: Json = False) -> None:
    """Print the whole spec, base included, every key with its meaning."""
    from rescli.cli.output.results import print_json
    from rescli.spec.toml import to_toml
    from rescli.workflows.listings.presets import describe_keys, show_preset

    shown = show_preset(name)
    if json:
        print_json({"name": name, "spec": shown.to_dict(), "spec_sha256": shown.fingerprint()})
        return
    print(to_toml(shown.to_dict(), comments=describe_keys(shown)), end="")
