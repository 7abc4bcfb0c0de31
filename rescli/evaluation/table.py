"""Rows of an evaluation as text: plain columns, so nothing is cut off on a narrow terminal or in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rescli.evaluation.metrics import percent
from rescli.evaluation.result import ClassRow, ErrorFigures, EvalRow
from rescli.foreign_text import readable
from rescli.plurals import counted
from rescli.text_width import cell_width, padded

__all__ = ["class_table", "eval_table", "short_name"]

_LONGEST = 40
"""Letters of a class's name in a table; the middle of a longer one is left out."""


def eval_table(rows: Sequence[EvalRow], *, kept: str = "logits kept from before") -> str:
    """One table for each set, split and protocol, with the precision and device below it.

    Args:
        rows: of an evaluation, in its order.
        kept: what is said where logits were found in the cache.
    """
    parts: dict[tuple[str, str, str], list[EvalRow]] = {}
    for row in rows:
        parts.setdefault((row["dataset"], row["split"], row["protocol_text"]), []).append(row)
    blocks = []
    for (dataset, split, text), together in parts.items():
        said = f"; {kept}" if any(row.get("cached") for row in together) else ""
        precisions = ", ".join(dict.fromkeys(row["precision"] for row in together))
        devices = ", ".join(dict.fromkeys(row["device"] for row in together))
        lines = [
            f"{readable(dataset)} {readable(split)}, {counted(together[0]['num_images'], 'image')}",
            f"protocol {readable(together[0]['protocol'])}: {readable(text)}\n",
            *_lines(together),
            f"\n{precisions} on {devices}{said}",
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def class_table(row: EvalRow, classes: Sequence[ClassRow]) -> str:
    """Error of each true class, and what it is taken for most often."""
    names = [short_name(entry["class"]) for entry in classes]
    width = max(5, *map(cell_width, names))
    among = f", among these {counted(len(names), 'class')}" if "subset" in row else ""
    lines = [
        f"{readable(row['model'])}, by class{among}\n",
        f"{'class':{width}}  images  top-1 error  most often taken for",
    ]
    for label, entry in enumerate(classes):
        error = percent(entry["top1_error"])
        others = [
            (count, name)
            for k, (count, name) in enumerate(zip(entry["predicted"], names, strict=True))
            if k != label and count
        ]
        most = sorted(others, key=lambda pair: -pair[0])[:3]
        taken_for = ", ".join(f"{name} {count}" for count, name in most)
        lines.append(f"{padded(names[label], width)}  {entry['num_images']:>6}  {error:>11}  {taken_for}")
    return "\n".join(lines)


def short_name(name: str) -> str:
    """A class's name as a table has it: on one line, and without its middle where it is long."""
    return _cut(readable(name))


def _cut(name: str) -> str:
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[1 - half :]}"


def _lines(rows: Sequence[EvalRow]) -> Iterator[str]:
    model_width = max(5, *(len(row["model"]) for row in rows))
    among = any("subset" in row for row in rows)
    heads = f"top-1 error  95 % interval   top-5 error  loss    calibration  {'model':{model_width}}"
    yield f"{heads}  {'among classes  ' * among}iteration  selection  checkpoint"
    for row in rows:
        found: tuple[ErrorFigures, ...] = (row, row["subset"]) if "subset" in row else (row,)
        for figures in found:
            low, high = figures["interval95"]
            classes = f"{figures['num_classes']:>13}  " if among else ""
            iteration = "" if row["iteration"] is None else row["iteration"]
            path = row["checkpoint"] if isinstance(row["checkpoint"], str) else "of the above"
            yield (
                f"{figures['top1_error']:9.2f} %  {low:5.2f} to {high:5.2f}  "
                f"{percent(figures['top5_error']):>11}  {figures['loss']:.4f}  "
                f"{figures['calibration_error']:9.2f} %  {row['model']:{model_width}}  "
                f"{classes}{iteration:>9}  {readable(row['selection']):<9}  {readable(path)}"
            )
