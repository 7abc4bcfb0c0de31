"""Results to stdout: a short table, or exactly one JSON object."""

from __future__ import annotations

import json
from typing import Any

from rescli.durations import format_seconds

__all__ = ["print_json", "print_record"]


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


def print_record(record: dict[str, Any], *, as_json: bool) -> None:
    """What a training run came to."""
    if as_json:
        print_json(record)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{record['name']} after {record['iterations_done']} iterations", title_justify="left"
    )
    for column in ("split", "error", "95 % interval", "loss", "images", "selection"):
        table.add_column(column, justify="left" if column in ("split", "selection") else "right")
    results = record["results"]
    if "train" in results:
        row = results["train"]
        table.add_row(
            "train", f"{row['top1_error']:.2f} %", "", f"{row['loss']:.4f}", "", "last window, augmented"
        )
    if "val" in results:
        _add(table, "val", results["val"], "last")
        if "best_val" in results["val"]:
            best = results["val"]["best_val"]
            _add(table, "val", best, f"best-val, iteration {best['iteration']}")
    console = Console(highlight=False)
    console.print(table)
    speed = f", {record['images_per_second']:,.0f} img/s" if record["images_per_second"] else ""
    console.print(
        f"{format_seconds(record['train_seconds'])} of training on {record['device']}, "
        f"{record['precision']}{speed}, peak memory {record['peak_memory_bytes'] / 1e9:.2f} GB",
        soft_wrap=True,
    )
    if record["scaled"]:
        console.print("scaled: not comparable with published numbers")
    # Paths go out unwrapped, so that they can be copied and piped.
    console.print(f"run directory: {record['run_dir']}", soft_wrap=True, markup=False)
    console.print(
        f"test error:    rescli eval {record['run_dir']}/checkpoints/last.safetensors",
        soft_wrap=True,
        markup=False,
    )


def _add(table: Any, split: str, row: dict[str, Any], selection: str) -> None:
    low, high = row["interval95"]
    interval = f"{low:.2f} to {high:.2f}"
    table.add_row(
        split, f"{row['top1_error']:.2f} %", interval, f"{row['loss']:.4f}", str(row["num_images"]), selection
    )
