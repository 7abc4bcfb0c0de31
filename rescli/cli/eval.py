"""``rescli eval``: figures of a checkpoint on a split. Opens the sealed test set, and says so in the run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = ["evaluate"]


def evaluate(
    checkpoints: Annotated[
        list[Path], typer.Argument(help="Checkpoint files (.safetensors).", metavar="CKPT...")
    ],
    split: Annotated[
        Literal["test", "val", "train"], typer.Option(help="Which part of the data set.")
    ] = "test",
    data_root: Annotated[
        Path | None,
        typer.Option(help="Where the data lies; else RESCLI_DATA, else the cache.", metavar="DIR"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], typer.Option(help="Of the convolutions.")
    ] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass; changes no count.")] = 500,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Error of checkpoints on the test set, single view; several give a table.

    rescli eval runs/NAME/checkpoints/last.safetensors
    """
    from rescli.cli.results import print_json

    results = []
    for path in checkpoints:
        from rescli.runs.evaluation import evaluate_checkpoint

        print(f"{path}: evaluating on {split} ...", file=sys.stderr)
        results.append(
            evaluate_checkpoint(
                path,
                split=split,
                data_root=data_root,
                device=device,
                precision=precision,
                batch_size=batch_size,
            )
        )
    if json:
        print_json({"results": results})
    else:
        _print_table(results)


def _print_table(results: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    first = results[0]
    table = Table(
        title=f"{first['dataset']} {first['split']}, {first['num_images']} images", title_justify="left"
    )
    for column in ("", "model", "iteration", "selection", "top-1 error", "95 % interval", "top-5", "loss"):
        table.add_column(
            column, justify="left" if column in ("model", "selection") else "right", no_wrap=True
        )
    for number, row in enumerate(results, start=1):
        low, high = row["interval95"]
        table.add_row(
            f"{number}",
            row["model"],
            f"{row['iteration']}",
            row["selection"],
            f"{row['top1_error']:.2f} %",
            f"{low:.2f} to {high:.2f}",
            f"{row['top5_error']:.2f} %",
            f"{row['loss']:.4f}",
        )
    console.print(table)
    for number, row in enumerate(results, start=1):
        console.print(f"{number}  {row['checkpoint']}", soft_wrap=True, markup=False)
    console.print(
        f"protocol {first['protocol']}: {first['protocol_text']}; {first['precision']} on {first['device']}",
        soft_wrap=True,
    )
