"""``rescli data``: list the data sets, or read one whole and say what is wrong with it."""

from __future__ import annotations

import contextlib
import os
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rescli.cli.data.pack import pack
from rescli.cli.data.prepare import prepare
from rescli.cli.output.messages import say
from rescli.errors import DataError, SpecError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from rescli.data.verify.check import Fault
    from rescli.spec.base import DatasetSpec

__all__ = ["app"]

_SPLITS = ("train", "val", "test", "all")

app = typer.Typer(
    help="List the data sets, verify one, prepare ImageNet, or pack photographs.", add_completion=False
)
app.command()(pack)
app.command()(prepare)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]


@app.callback(invoke_without_command=True)
def _data(context: typer.Context, json: _Json = False) -> None:
    """List the data sets, or verify one."""
    # Kept for the subcommands, so that --json counts on either side of their name.
    context.obj = json
    if context.invoked_subcommand is None:
        _print_list(as_json=json)


@app.command("list")
def list_datasets(context: typer.Context, json: _Json = False) -> None:
    """List the data sets with their classes, splits and image sizes."""
    _print_list(as_json=json or bool(context.obj))


@app.command()
def verify(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A data set, such as cifar10 or imagefolder.")],
    data_root: Annotated[
        Path | None,
        typer.Option(help="Where the data lies; else RESCLI_DATA, else the cache.", metavar="DIR"),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this part of the data set; repeatable. Unset: every part there is.",
            metavar="train|val|test|all",
        ),
    ] = None,
    json: _Json = False,
) -> None:
    """Read a data set whole: counts, classes, damaged files, copies within and between its splits.

    Exit code 3 where files are missing or damaged or their number is wrong; copies and uneven classes are
    no fault.

    rescli data verify imagefolder --data-root photos
    """
    from rescli.cli.data.output import print_report, verify_progress
    from rescli.data.verify.check import Fault, check_split, copies_between
    from rescli.spec.from_names import named_dataset

    dataset = named_dataset(name)
    sizes = _sizes(dataset) or {}
    splits = tuple(dict.fromkeys(split or ())) or dataset.splits(data_root)
    for part in splits:
        if part not in (sizes or _SPLITS):
            raise UnknownNameError(f"split of {name}", part, sizes or _SPLITS)
    checks = []
    unread: dict[str, DataError] = {}
    with verify_progress() as progress:
        for part in splits:
            progress.reading(part)
            # One at a time: of a split that was checked, no image is kept.
            try:
                images = dataset.build(data_root, (part,))[part]
            except DataError as error:
                unread[part] = error
                continue
            progress.checking(part, len(images))
            checks.append(
                check_split(
                    images,
                    split=part,
                    expected_images=sizes.get(part),
                    threads=os.cpu_count() or 1,
                    progress=progress.done,
                )
            )
            del images
    faults = [fault for check in checks for fault in check.faults]
    faults += [Fault(part, None, str(error)) for part, error in unread.items()]
    between = {
        (first.split, second.split): copies_between(first, second)
        for first, second in combinations(checks, 2)
    }
    print_report(name, checks, between, faults, as_json=json or bool(context.obj))
    if faults:
        hints = [error.hint for error in unread.values() if error.hint]
        raise DataError(
            f"{name} has {_summary(faults)}",
            hint=hints[0] if hints else "replace or remove what is named above, and verify again",
        )


def _summary(faults: list[Fault]) -> str:
    # Told once, however often it was met: splits can share a damaged file.
    found = list(
        dict.fromkeys(f"{fault.file} ({fault.split})" if fault.file else fault.text for fault in faults)
    )
    if len(found) == 1:
        return f"1 fault: {found[0]}"
    return f"{len(found)} faults: {'; '.join(found[:3])}{'; ...' if len(found) > 3 else ''}"


def _print_list(*, as_json: bool) -> None:
    from rescli import registry
    from rescli.cli.data.output import print_datasets

    rows = []
    for name in registry.names("datasets"):
        try:
            rows.append(_describe(name))
        except UsageError as error:
            say(f"warning: {error}")
        # What a plugin's own properties may raise.
        except Exception as error:
            reason = " ".join(str(error).split())
            say(f"warning: data set {name!r} cannot be described: {type(error).__name__}: {reason}")
    print_datasets(rows, as_json=as_json)


def _describe(name: str) -> dict[str, Any]:
    """Null where the name alone does not say: the files do, or keys that have no default."""
    from rescli import registry
    from rescli.spec.from_names import named_dataset

    summary = (registry.load("datasets", name).__doc__ or "").strip().partition("\n")[0]
    row: dict[str, Any] = {"name": name, "summary": summary, "problem": None}
    row |= {"num_classes": None, "sizes": None, "image_size": None, "any_size": None}
    try:
        dataset = named_dataset(name)
    except SpecError as error:
        return row | {"problem": str(error)}
    with contextlib.suppress(SpecError):
        row["num_classes"] = dataset.num_classes
    return row | {
        "sizes": _sizes(dataset),
        "image_size": dataset.image_size,
        "any_size": dataset.any_size,
    }


def _sizes(dataset: DatasetSpec) -> dict[str, int] | None:
    """None where only the files can say."""
    try:
        return dataset.sizes
    except SpecError:
        return None
