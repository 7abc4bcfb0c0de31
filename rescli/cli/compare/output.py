"""What ``rescli compare`` prints."""

from __future__ import annotations

from typing import Any

from rescli.cli.output.durations import format_seconds
from rescli.cli.output.results import print_json
from rescli.report.comparison_files import Logs
from rescli.report.sparklines import sparkline

__all__ = ["print_comparison"]


def print_comparison(result: dict[str, Any], logs: Logs, *, as_json: bool) -> None:
    """Columns, curves as sparklines, the verdicts in words; or exactly one JSON object."""
    if as_json:
        print_json(result)
        return
    contenders = result["contenders"]
    heads = [
        "",
        "params",
        "MACs",
        "train error",
        "val error",
        "test error",
        "best-val",
        "train time",
        "img/s",
    ]
    if any(one["published"] for one in contenders):
        heads.append("published")
    rows = [heads, *(_cells(one, published="published" in heads) for one in contenders)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip())
    first = contenders[0]
    print(
        "\nErrors in percent, mean ± std over seeds, of the last weights unless it says best-val; "
        f"{first['dataset']}, protocol {first['protocol']}; train: the training images without augmentation"
    )
    if any(one["scaled"] for one in contenders):
        print("scaled: not comparable with published numbers")
    for one in contenders:
        if one["published"]:
            print(f"{one['label']}: {one['published']['verdict']} ({one['published']['source']})")
    _print_sparklines(logs)
    for pair in result["pairs"]:
        print(f"\n{pair['first']} and {pair['second']}")
        for sentence in pair["verdict"]:
            print(f"  {sentence}")
    print(f"\nwritten to {result['out']}")


def _print_sparklines(logs: Logs) -> None:
    """Error of the first seed over its iterations, all on one scale."""
    curves = [
        (label, event, [row["top1_error"] for row in seeds[0] if row["event"] == event])
        for label, seeds in logs.items()
        if seeds
        for event in ("train", "val")
    ]
    curves = [curve for curve in curves if curve[2]]
    if not curves:
        return
    highest = max(max(values) for _, _, values in curves)
    width = max(len(label) for label, _, _ in curves)
    print("\nError while training")
    for label, event, values in curves:
        line = sparkline(values, highest=highest)
        print(f"{label:{width}}  {event:5}  {values[0]:6.2f}  {line:32}  {values[-1]:6.2f}")


def _cells(one: dict[str, Any], *, published: bool) -> list[str]:
    cells = [
        one["label"],
        f"{one['params'] / 1e6:.2f}M" if one["params"] else "",
        f"{one['macs'] / 1e6:.1f}M" if one["macs"] else "",
        *(_error(one[key]) for key in ("train_error", "val_error", "test_error", "best_test_error")),
        format_seconds(one["train_seconds"]) if one["train_seconds"] else "",
        f"{one['images_per_second']:,.0f}" if one["images_per_second"] else "",
    ]
    if published:
        found = one["published"]
        cells.append(f"{found['mean'] or found['top1_error']:.2f}" if found else "")
    return cells


def _error(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    if figure["std"] is None:
        return f"{figure['mean']:.2f}"
    return f"{figure['mean']:.2f} ± {figure['std']:.2f} ({figure['n']})"
