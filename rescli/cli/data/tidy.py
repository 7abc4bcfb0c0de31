"""``rescli data tidy``: a sound tree of class folders, made of a folder that is laid out in another way."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from rescli.cli.options import DataRoot, DatasetKeys
from rescli.cli.output.messages import say
from rescli.cli.remedies import as_flag
from rescli.foreign_text import shell_word
from rescli.remedy import Remedy

__all__ = ["tidy", "training_command"]

_KEYS_OF_FOLDERS = ("labels", "train_folder", "val_folder", "test_folder", "exclude", "images_by", "kind")
"""Keys that say where the images and labels of a folder are, and mean nothing for one made of it."""


def tidy(
    out: Annotated[Path, typer.Option(help="The folder to make; must not exist.", metavar="DIR")],
    data_root: DataRoot = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files, in place of links to them.")] = False,
    set_: DatasetKeys = None,
) -> None:
    """Link photographs into DIR/SPLIT/CLASS, and leave out what is none.

    Splits get their usual names; images that a table or their names label go into class folders; damaged
    images, other files, and classes that train lacks are left out. The folder itself is not changed.

    rescli data tidy --data-root photos --out sound
    """
    from rescli.cli.output.wording import in_flags
    from rescli.report.progress.counting import counting
    from rescli.report.survey import finding_line
    from rescli.spec.load import parse_overrides
    from rescli.workflows.data import tidy as workflow

    changes = parse_overrides(set_ or ())
    with in_flags({f"{out} exists": f"--out {out} exists"}), counting(None, unit="photographs") as shown:
        made = workflow.tidy(out, data_root, changes=changes, copy=copy, progress=shown)
    word = partial(as_flag, parameters={"set_", "data_root"})
    for line in (*made.tidying.lines, *(finding_line(one, word) for one in made.tidying.findings)):
        say(line)
    if made.tidying.refusals:
        say("no net can be trained on it as it is; it can be evaluated on:")
        for finding in made.tidying.refusals:
            say(f"  {finding.sentence}")
    else:
        say(f"train on it: {training_command('imagefolder', made.root, changes)}")
    print(made.root)


def training_command(name: str, root: Path, changes: Mapping[str, object]) -> str:
    """What trains on a folder that was made of another one.

    Args:
        name: imagefolder or imagenet.
        changes: keys of the data set that it was made with; those that say where splits and labels are have
            been followed, and mean nothing there.
    """
    size = changes.get("data.dataset.image_size")
    small = isinstance(size, int) and size < 64  # a net of the other family
    preset = {"imagenet": "imagenet/resnet-50"}.get(name, "imagefolder/32" if small else "imagefolder/base")
    kept = [
        as_flag(Remedy(key, value))
        for key, value in changes.items()
        if key.rpartition(".")[2] not in _KEYS_OF_FOLDERS
    ]
    return " ".join([f"rescli train {preset} --data-root {shell_word(str(root))}", *kept])
