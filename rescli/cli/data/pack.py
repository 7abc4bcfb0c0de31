"""``rescli data pack``: a folder of photographs as a few large files that load faster."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rescli.cli.data.tidy import training_command
from rescli.cli.options import DataRoot, DatasetKeys
from rescli.cli.output.messages import say
from rescli.errors import first_names
from rescli.plurals import counted

if TYPE_CHECKING:
    from rescli.data.folders.survey import Survey

__all__ = ["pack"]


def pack(
    name: Annotated[str, typer.Argument(help="A data set of photographs: imagefolder or imagenet.")],
    out: Annotated[Path, typer.Option(help="The folder to make; must not exist.", metavar="DIR")],
    data_root: DataRoot = None,
    short_side: Annotated[
        int,
        typer.Option(
            min=32,
            help="Larger images are reduced to this shorter side. 480 keeps what the paper's augmentation "
            "can show; 256 loads fastest and trains on less detail.",
        ),
    ] = 480,
    quality: Annotated[
        int, typer.Option(min=1, max=100, help="JPEG quality of the images that are reduced.")
    ] = 90,
    orientation: Annotated[
        str | None,
        typer.Option(
            help="stored, or upright for images turned as their files say; a run on them needs the same "
            "data.dataset.orientation.",
            metavar="NAME",
        ),
    ] = None,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out photographs that cannot be decoded.")
    ] = False,
    set_: DatasetKeys = None,
) -> None:
    """Pack photographs into one file for each split.

    Give its folder as --data-root from then on.

    rescli data pack imagefolder --data-root photos --out photos-packed
    """
    from rescli.cli.data.output import data_progress
    from rescli.cli.output.wording import in_flags
    from rescli.spec.load import parse_overrides
    from rescli.workflows.data import pack as workflow

    changes = parse_overrides(set_ or ())
    with in_flags({f"{out} exists": f"--out {out} exists"}), data_progress() as bar:
        made = workflow.pack(
            name,
            out,
            data_root,
            short_side=short_side,
            quality=quality,
            orientation=orientation,  # type: ignore[arg-type]  # the workflow says which there are
            changes=changes,
            skip_damaged=skip_damaged,
            progress=bar.checking,
            on_survey=partial(say_survey, skips_damaged=skip_damaged),
        )
    say(f"{counted(sum(made.num_images.values()), 'image')}, {made.num_bytes / 1e6:.1f} MB")
    if made.skipped:
        images = counted(len(made.skipped), "image")
        say(f"left out: {images} that cannot be decoded: {first_names(list(made.skipped))}")
    if orientation is not None:
        changes["data.dataset.orientation"] = orientation
    say(f"train on it: {training_command(name, made.root, changes)}")
    print(made.root)


def say_survey(survey: Survey, *, skips_damaged: bool = False) -> None:
    """What the folder holds, and what is odd about it; what is refused, the error says.

    Args:
        skips_damaged: whether damaged images are left out already.
    """
    from rescli.cli.remedies import as_flag
    from rescli.report.survey import only_ways, survey_lines

    # The size of the crops is a matter of the training.
    without = ("data.dataset.image_size", *(("data.skip_damaged",) if skips_damaged else ()))
    found = tuple(only_ways(finding, without) for finding in survey.findings)
    word = partial(as_flag, parameters={"set_", "data_root", "skip_damaged"})
    for line in survey_lines(replace(survey, findings=found), word, refused=False):
        say(line)
