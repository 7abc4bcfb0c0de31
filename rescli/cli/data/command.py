"""``rescli data``: list the data sets, or read one whole and say what is wrong with it."""

from __future__ import annotations

from typing import Annotated

import typer

from rescli.cli.data.pack import pack
from rescli.cli.data.prepare import prepare
from rescli.cli.data.tidy import tidy
from rescli.cli.options import DataRoot, DatasetKeys, Json
from rescli.cli.output.messages import say

__all__ = ["app"]

app = typer.Typer(help="List, verify, prepare, tidy and pack data sets.", add_completion=False)
app.command()(pack)
app.command()(prepare)
app.command()(tidy)


@app.callback(invoke_without_command=True)
def _data(context: typer.Context, json: Json = False) -> None:
    """List the data sets, or verify one."""
    # Kept for the subcommands, so that --json counts on either side of their name.
    context.obj = json
    if context.invoked_subcommand is None:
        _print_list(as_json=json)


@app.command("list")
def list_datasets(context: typer.Context, json: Json = False) -> None:
    """List the data sets with their classes, splits and image sizes."""
    _print_list(as_json=json or bool(context.obj))


@app.command()
def verify(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A data set, such as cifar10 or imagefolder.")],
    data_root: DataRoot = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this part of the data set; repeatable. Unset: every part there is.",
            metavar="train|val|test|all",
        ),
    ] = None,
    set_: DatasetKeys = None,
    json: Json = False,
) -> None:
    """Read a data set whole: counts, classes, damage, oddities, and copies.

    Exit code 3 where files are missing or damaged, their number is wrong, or no net can be trained on them;
    what is only odd, such as copies and uneven classes, is no fault.

    rescli data verify imagefolder --data-root photos
    """
    from rescli.cli.data.output import data_progress, print_report
    from rescli.spec.load import parse_overrides
    from rescli.workflows.data.verify_data import verify_data

    with data_progress() as bar:
        report = verify_data(
            name,
            data_root,
            splits=split or (),
            changes=parse_overrides(set_ or ()),
            progress=bar.checking,
        )
    print_report(report, as_json=json or bool(context.obj))
    report.require_sound()


def _print_list(*, as_json: bool) -> None:
    from rescli.cli.data.output import print_datasets
    from rescli.workflows.data.datasets import datasets

    print_datasets(datasets(warn=lambda text: say(f"warning: {text}")), as_json=as_json)
