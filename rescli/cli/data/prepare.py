"""``rescli data prepare``: the official archives of ImageNet as folders that train and eval read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rescli.cli.options import Json
from rescli.cli.output.messages import say
from rescli.errors import UnknownNameError
from rescli.plurals import counted

__all__ = ["prepare"]

LINE_SECONDS = 30.0


def prepare(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The data set: imagenet.")],
    source: Annotated[
        Path,
        typer.Option(
            "--from",
            help="The folder with ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, or one of them; "
            "beside the latter the labels: ILSVRC2012_devkit_t12.tar.gz, Kaggle's LOC_val_solution.csv, "
            "or val.csv with lines FILE,WNID.",
            metavar="DIR",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where train/ and val/ will be. Unset: where the archives are.", metavar="DIR"),
    ] = None,
    json: Json = False,
) -> None:
    """Extract the official archives of ImageNet 2012.

    It makes train/WNID/*.JPEG and val/WNID/*.JPEG. Stopped or killed, the same command
    goes on: a folder that has its name is whole. The archives stay.

    rescli data prepare imagenet --from downloads --out ILSVRC2012
    """
    if name != "imagenet":
        raise UnknownNameError("data set to prepare", name, ["imagenet"])
    from rescli.cli.output.results import print_json
    from rescli.workflows.data import prepare_imagenet as workflow

    with _progress() as progress:
        made = workflow.prepare_imagenet(source, out, progress=progress, warn=say)
    if json or bool(context.obj):
        print_json(asdict(made))
        return
    for split in made.splits:
        text = f"{split.split}: {counted(split.num_images, 'image')} in {counted(split.num_classes, 'class')}"
        say(text + ("" if split.num_new else ", all there before"))
    print(made.root)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """``progress(what, bytes done, bytes in all)``: a bar on a terminal, else a line now and then; stderr."""
    from rescli.cli.data.output import data_progress

    with data_progress() as bar:
        printed, shown = time.monotonic(), ""

        def report(what: str, done: int, total: int) -> None:
            nonlocal printed, shown
            if what != shown:
                shown = what
                bar.begin(what, total)
            bar.done(done)
            now = time.monotonic()
            if not bar.is_shown and now - printed >= LINE_SECONDS:
                printed = now
                say(f"{what}: {done / 1e9:.1f} of {total / 1e9:.1f} GB")

        yield report
