"""``rescli eval``: figures of a checkpoint on a split. Opens the sealed test set, and says so in the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rescli.cli.messages import say
from rescli.errors import CheckpointError

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
    """Measure the error of checkpoints, single view, on the test set unless --split says else.

    rescli eval runs/NAME/checkpoints/last.safetensors
    """
    for path in checkpoints:  # before the seconds of importing torch
        if not os.path.isfile(path):
            raise CheckpointError(
                f"no such checkpoint: {path}", hint="a run keeps them in RUN_DIR/checkpoints/"
            )
    from rescli.cli.results import print_json
    from rescli.runs.evaluation import evaluate_checkpoint

    results: list[dict[str, Any]] = []
    try:
        for path in checkpoints:
            say(f"{path}: evaluating on {split} ...")
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
    finally:  # what was measured is printed, whatever came after it
        if results:
            print_json({"results": results}) if json else _print_table(results)


def _print_table(results: list[dict[str, Any]]) -> None:
    """Plain columns: nothing is cut off on a narrow terminal or in a pipe."""
    first = results[0]
    print(
        f"{first['dataset']} {first['split']}, {first['num_images']} images, protocol {first['protocol']}\n"
    )
    width = max(len(row["model"]) for row in results)
    heads = f"top-1 error  95 % interval   top-5 error  loss    {'model':{width}}"
    print(f"{heads}  iteration  selection  checkpoint")
    for row in results:
        low, high = row["interval95"]
        print(
            f"{row['top1_error']:9.2f} %  {low:5.2f} to {high:5.2f}  {row['top5_error']:9.2f} %  "
            f"{row['loss']:.4f}  {row['model']:{width}}  {row['iteration']:>9}  {row['selection']:<9}  "
            f"{row['checkpoint']}"
        )
    print(f"\n{first['protocol_text']}; {first['precision']} on {first['device']}")
