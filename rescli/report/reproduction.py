"""A reproduced table as text: published | measured mean ± std (n) | verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["as_markdown", "table_cells"]

_HEADS = ("net", "published", "measured", "verdict")


def table_cells(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Head and rows; top-1 error, with top-5 behind a stroke where the paper has one."""
    return [list(_HEADS), *(_cells(row) for row in rows)]


def _cells(row: Mapping[str, Any]) -> list[str]:
    published = _pair(row["published_top1"], row["published_top5"])
    if row["measured"] is None:
        return [row["label"], published, "not run" if row["not_run"] else "", row["not_run"] or ""]
    top5 = row["measured_top5"] if row["published_top5"] is not None else None
    measured = " / ".join(_figure(one) for one in (row["measured"], top5) if one is not None)
    verdict = row["verdict"] or ""
    if row["measured"]["n"] < row["seeds_wanted"]:
        verdict += f"; {row['measured']['n']} of {row['seeds_wanted']} seeds are finished"
    return [row["label"], published, measured, verdict.removeprefix("; ")]


def _pair(top1: float | None, top5: float | None) -> str:
    both = [f"{value:.2f}" if value is not None else "-" for value in (top1, top5)]
    return both[0].replace("-", "") if top5 is None else " / ".join(both)


def _figure(figure: Mapping[str, Any]) -> str:
    spread = f" ± {figure['std']:.2f}" if figure["std"] is not None else ""
    return f"{figure['mean']:.2f}{spread} ({figure['n']})"


def as_markdown(result: Mapping[str, Any]) -> str:
    """The table with its title, source and protocol."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in table_cells(result["rows"])]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    lines.insert(1, "|---|---:|---:|---|")
    head = f"# {result['title']}\n\n{result['source']}, reproduced with rescli {result['rescli_version']}. "
    head += f"Top-1 error in percent, protocol {result['protocol']}; mean ± std (n seeds).\n\n"
    return head + "\n".join(lines) + "\n"
