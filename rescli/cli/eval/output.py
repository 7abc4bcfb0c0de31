"""What ``rescli eval`` prints: plain columns, so nothing is cut off on a narrow terminal or in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rescli.cli.output.results import print_json
from rescli.evaluation.result import Evaluated, per_class

__all__ = ["eval_progress", "print_results"]


@contextmanager
def eval_progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr, gone when done; where stderr is no terminal, none."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("views"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("time left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("views", start=False, visible=False)

        def show(done: int, total: int) -> None:
            if done < progress.tasks[0].completed:  # the next checkpoint begins
                progress.reset(task)
            progress.start_task(task)
            progress.update(task, completed=done, total=total, visible=True)

        yield show


def print_results(results: list[Evaluated], *, as_json: bool, by_class: bool) -> None:
    """A table, or exactly one JSON object; with the classes of each result where asked."""
    if as_json:
        rows = [
            {**result.row, **({"per_class": per_class(result)} if by_class else {})} for result in results
        ]
        print_json({"results": rows})
        return
    parts: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for result in results:
        row = result.row
        parts.setdefault((row["dataset"], row["split"], row["protocol_text"]), []).append(row)
    for number, ((dataset, split, text), rows) in enumerate(parts.items()):
        print("\n" * (number > 0) + f"{dataset} {split}, {rows[0]['num_images']} images")
        print(f"protocol {rows[0]['protocol']}: {text}\n")
        _print_rows(rows)
        kept = "; logits kept from before (--no-cache computes them again)"
        print(
            f"\n{_joined(rows, 'precision')} on {_joined(rows, 'device')}"
            + kept * any(row.get("cached") for row in rows)
        )
    if by_class:
        for result in results:
            _print_classes(result)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    model_width = max(5, *(len(row["model"]) for row in rows))
    among = any("subset" in row for row in rows)
    heads = f"top-1 error  95 % interval   top-5 error  loss    calibration  {'model':{model_width}}"
    print(f"{heads}  {'among classes  ' * among}iteration  selection  checkpoint")
    for row in rows:
        for figures in (row, row["subset"]) if "subset" in row else (row,):
            low, high = figures["interval95"]
            classes = f"{figures['num_classes']:>13}  " if among else ""
            iteration = "" if row["iteration"] is None else row["iteration"]
            path = row["checkpoint"] if isinstance(row["checkpoint"], str) else "of the above"
            print(
                f"{figures['top1_error']:9.2f} %  {low:5.2f} to {high:5.2f}  "
                f"{figures['top5_error']:9.2f} %  {figures['loss']:.4f}  "
                f"{figures['calibration_error']:9.2f} %  {row['model']:{model_width}}  "
                f"{classes}{iteration:>9}  {row['selection']:<9}  {path}"
            )


def _print_classes(result: Evaluated) -> None:
    rows = per_class(result)
    names = [row["class"] for row in rows]
    width = max(5, *map(len, names))
    among = f", among these {len(names)} classes" if "subset" in result.row else ""
    print(f"\n{result.row['model']}, by class{among}\n")
    print(f"{'class':{width}}  images  top-1 error  most often taken for")
    for label, row in enumerate(rows):
        error = "" if row["top1_error"] is None else f"{row['top1_error']:9.2f} %"
        others = [
            (count, name)
            for k, (count, name) in enumerate(zip(row["predicted"], names, strict=True))
            if k != label
        ]
        most = sorted(((count, name) for count, name in others if count), key=lambda pair: -pair[0])[:3]
        print(
            f"{row['class']:{width}}  {row['num_images']:>6}  {error:>11}  "
            + ", ".join(f"{name} {count}" for count, name in most)
        )


def _joined(rows: list[dict[str, Any]], key: str) -> str:
    return ", ".join(dict.fromkeys(str(row[key]) for row in rows))
