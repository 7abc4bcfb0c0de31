"""``rescli data tidy``: a sound tree of class folders, made of a folder that is laid out in another way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rescli.cli.options import DataRoot, DatasetKeys
from rescli.cli.output.messages import say

__all__ = ["tidy"]


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
    from rescli.spec.load import parse_overrides
    from rescli.workflows.data import tidy as workflow

    with in_flags({f"{out} exists": f"--out {out} exists"}), counting(True, unit="photographs") as shown:
        made = workflow.tidy(out, data_root, changes=parse_overrides(set_ or ()), copy=copy, progress=shown)
    for line in made.tidying.lines:
        say(line)
    print(made.root)
