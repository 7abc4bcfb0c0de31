"""``rescli presets``: list the shipped specs, show one whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rescli.spec.base import Spec

__all__ = ["app"]

app = typer.Typer(help="List the shipped presets, or show one.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def presets(context: typer.Context) -> None:
    """List the shipped presets, or show one."""
    if context.invoked_subcommand is None:
        list_presets(json=False)


@app.command("list")
def list_presets(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Names of all presets, each with the first line of its file."""
    from rescli.cli.output.results import print_json
    from rescli.spec.load import preset_names, preset_text

    summaries = {name: preset_text(name).splitlines()[0].lstrip("# ") for name in preset_names()}
    if json:
        print_json({"presets": [{"name": name, "summary": text} for name, text in summaries.items()]})
        return
    width = max(map(len, summaries))
    for name, text in summaries.items():
        print(f"{name:{width}}  {text}")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A preset, or a .toml file.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """The whole spec, base included, every key with its meaning."""
    from rescli.cli.output.results import print_json
    from rescli.spec.load import load_spec
    from rescli.spec.toml import to_toml

    spec = load_spec(name)
    if json:
        print_json({"name": name, "spec": spec.to_dict(), "spec_sha256": spec.fingerprint()})
        return
    print(to_toml(spec.to_dict(), comments=_descriptions(spec)), end="")


def _descriptions(spec: Spec, prefix: str = "") -> dict[str, str]:
    """Dotted key -> the field's description, through all sections."""
    from rescli.spec.base import Spec

    texts: dict[str, str] = {}
    for key, field in type(spec).model_fields.items():
        value = getattr(spec, key)
        if isinstance(value, Spec):
            texts |= _descriptions(value, f"{prefix}{key}.")
        elif field.description:
            texts[f"{prefix}{key}"] = field.description
    return texts
