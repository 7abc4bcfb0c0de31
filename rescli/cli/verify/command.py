"""``rescli verify``: what rescli promises, tried on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rescli.cli.options import Device, Json, RunDataRoot
from rescli.cli.output.messages import say

if TYPE_CHECKING:
    from rescli.workflows.trust.children import Child

__all__ = ["app"]

app = typer.Typer(help="Prove on this machine that a killed run resumes bit for bit.", no_args_is_help=True)


@app.callback()
def verify() -> None:
    """Prove on this machine that a killed run resumes bit for bit."""


@app.command("resume")
def resume(
    run: Annotated[
        Path, typer.Argument(help="A run directory, finished or not; it is only read.", metavar="RUN")
    ],
    iterations: Annotated[
        int | None,
        typer.Option(
            min=4,
            max=10**6,
            help="Iterations of each copy. Unset: some 10 seconds of them, and the end of an epoch if near.",
        ),
    ] = None,
    kills: Annotated[int, typer.Option(min=1, max=100, help="How often the copy is killed.")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Decides the moments of the kills. Unset: others each time.")
    ] = None,
    device: Device = "auto",
    data_root: RunDataRoot = None,
    json: Json = False,
) -> None:
    """Prove that a run, killed and resumed here, ends with the bits of one that never was.

    Copies of the run go on from its newest saved state, in a temporary directory: one is left alone, one is
    killed (SIGKILL) at random moments and resumed by rescli train --resume. Weights, momentum, batch-norm
    statistics, metrics and results are compared. Exit code 6 where one bit differs, or the resume fails.

    rescli verify resume runs/NAME
    """
    from rescli.cli.output.columns import print_hanging
    from rescli.cli.output.results import print_json
    from rescli.workflows.running.torch_import import importing_torch

    with importing_torch():
        from rescli.workflows.trust.verify_resume import verify_resume

    proof = verify_resume(
        run,
        iterations=iterations,
        kills=kills,
        seed=seed,
        device=device,
        data_root=data_root,
        launch=_as_typed,
        on_stage=lambda line: say(f"{line} ..."),
    )
    if json:
        print_json(proof.to_json())
    else:
        for word, text in proof.lines():
            print_hanging(f"{word:9} ", text)
    proof.require_equal()


def _as_typed(child: Child) -> Sequence[str]:
    """The command that a user would type for it."""
    words = ["train", "--resume", str(child.run_dir)]
    if child.spec is not None:
        words = ["train", str(child.spec), "--out", str(child.run_dir)]
    if child.device is not None:
        words += ["--device", child.device]
    if child.data_root is not None:
        words += ["--data-root", str(child.data_root)]
    return [sys.executable, "-m", "rescli", *words]
