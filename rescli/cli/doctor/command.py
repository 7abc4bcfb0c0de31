"""``rescli doctor``: what this machine has, what of it is used, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rescli.cli.options import DataRoot, Json

__all__ = ["doctor"]


def doctor(
    out: Annotated[
        Path | None, typer.Option(help="Where runs are to lie. Unset: ./runs", metavar="DIR")
    ] = None,
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Say what is wrong, fast or slow on this machine.

    A problem is what makes a training here fail, or its results wrong: torch that cannot compute, a place for
    runs that cannot be written or whose locks do not hold, too little disk or memory, data that is there and
    damaged, an environment that contradicts itself. Then the exit code is 6. What only makes it slower is a
    note: no GPU, no compiler, a cache that cannot be written, data that is not there.

    rescli doctor --out /scratch/runs
    """
    from rescli.cli.doctor.output import print_checkup
    from rescli.cli.output.results import print_json
    from rescli.workflows.trust.doctor import doctor as look

    checkup = look(out, data_root=data_root)
    if json:
        print_json(checkup.to_json())
    else:
        print_checkup(checkup)
    checkup.require_sound()
