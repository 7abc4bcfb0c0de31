"""Results to stdout: a short table, or exactly one JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rescli.durations import format_seconds
from rescli.foreign_text import shell_path
from rescli.plurals import counted

__all__ = ["print_json", "print_record"]

_TABLE_WIDTH = 78
"""Letters that the table of a run takes; on a narrower screen it would be cut, and lines stand for it."""


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


def print_record(record: dict[str, Any], *, as_json: bool, splits: Sequence[str] = ("test",)) -> None:
    """What a training run came to, and how it is evaluated.

    Args:
        record: of the run, and its directory as ``run_dir``.
        as_json: one JSON object and nothing else.
        splits: the parts of its data set.
    """
    if as_json:
        print_json(record)
        return
    from rich.table import Table

    from rescli.report.console import SafeConsole

    title = f"{record['name']} after {counted(record['iterations_done'], 'iteration')}"
    rows = _rows(record["results"])
    console = SafeConsole()
    if console.width < _TABLE_WIDTH:
        console.print(title, soft_wrap=True)
        for split, error, interval, loss, images, selection in rows:
            among = f" ({interval})" if interval else ""
            of = f", {counted(int(images), 'image')}" if images else ""
            console.print(f"{split:5} {error}{among}, loss {loss}{of}: {selection}", soft_wrap=True)
    else:
        table = Table(title=title, title_justify="left")
        for column in ("split", "error", "95 % interval", "loss", "images", "selection"):
            table.add_column(column, justify="left" if column in ("split", "selection") else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    speed = f", {record['images_per_second']:,.0f} img/s" if record["images_per_second"] else ""
    console.print(
        f"{format_seconds(record['train_seconds'])} of training on {record['device']}, "
        f"{record['precision']}{speed}, peak memory {record['peak_memory_bytes'] / 1e9:.2f} GB",
        soft_wrap=True,
        markup=False,
    )
    if "val" not in record["data"]["num_images"]:
        console.print(
            "no validation part: no error of images that were not trained on; the last weights are the only "
            "ones kept",
            soft_wrap=True,
        )
    if record["scaled"]:
        console.print("scaled: not comparable with published numbers")
    # Paths go out unwrapped, so that they can be copied and piped.
    console.print(f"run directory: {record['run_dir']}", soft_wrap=True)
    console.print(_how_to_evaluate(record["run_dir"], splits), soft_wrap=True)


def _how_to_evaluate(run_dir: str, splits: Sequence[str]) -> str:
    """The command that gives an error of the run, and on which images."""
    command = f"rescli eval {shell_path(f'{run_dir}/checkpoints/last.safetensors')}"
    if "test" in splits:
        return f"test error:    {command}"
    if "val" in splits:
        return f"val error:     {command}"
    return f"train error:   {command} --split train"


def _rows(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """Split, error, interval, loss, images and selection of each result, as texts."""
    rows: list[tuple[str, ...]] = []
    if "train" in results:
        row = results["train"]
        error, loss = f"{row['top1_error']:.2f} %", f"{row['loss']:.4f}"
        rows.append(("train", error, "", loss, "", "last window, augmented"))
    if "val" in results:
        rows.append(_row("val", results["val"], "last"))
        if "best_val" in results["val"]:
            best = results["val"]["best_val"]
            rows.append(_row("val", best, f"best-val, iteration {best['iteration']}"))
    return rows


def _row(split: str, row: dict[str, Any], selection: str) -> tuple[str, ...]:
    low, high = row["interval95"]
    error, loss = f"{row['top1_error']:.2f} %", f"{row['loss']:.4f}"
    return split, error, f"{low:.2f} to {high:.2f}", loss, str(row["num_images"]), selection
