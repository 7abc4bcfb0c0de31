"""Write the tables of docs/numbers/protocols.md anew: python docs/scripts/protocols_tables.py

They are made of benchmarks/results. Each stands between two comments with its name;
tests/docs/made_pages/test_protocols.py holds the page against the results.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "numbers" / "protocols.md"
RESULTS = ROOT / "benchmarks" / "results"
SMALL = RESULTS / "protocols_cpu-amd-epyc_202611.json"
PHOTOS = RESULTS / "protocols-photos_cpu-amd-epyc_202611.json"

_TABLE = re.compile(r"(<!-- table: (\w+) -->\n\n)(.*?)(\n\n<!-- table: end -->)", re.DOTALL)


def tables() -> dict[str, str]:
    """Name to Markdown, of every table that the page has."""
    small, photos = (json.loads(path.read_text(encoding="utf-8")) for path in (SMALL, PHOTOS))
    first = small["rows"][0]["checkpoint"]
    alone = [row for row in small["rows"] if row["checkpoint"] == first]
    seen = {(row["protocol"], row["average"]): row for row in alone}
    return {
        "protocols": _protocols(list(seen.values())),
        "photographs": _protocols(photos["rows"]),
        "ensembles": _ensembles(small["rows"]),
        "selection": _selection(small["selection"]),
    }


def shown(text: str) -> dict[str, str]:
    """Name to Markdown, as the page has them now."""
    return {found[2]: found[3] for found in _TABLE.finditer(text)}


def _protocols(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        low, high = row["interval95"]
        error = f"{row['top1_error']:.2f} %"
        changed = f"{row['mended']} / {row['spoiled']}" if row["num_views"] > 1 else ""
        p = _p(row["p_mcnemar"]) if row["num_views"] > 1 else ""
        cells = (row["num_views"], row["average"] or "", error, f"{low:.2f} to {high:.2f}", changed, p)
        lines.append(_row(f"`{row['protocol']}`", *cells))
    head = ("protocol", "views", "average of", "error", "95 % interval", "mended / spoiled", "McNemar's p")
    return "\n".join([_row(*head), _row("---", *["--:"] * 6), *lines])


def _p(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.0e}"


def _ensembles(rows: list[dict[str, Any]]) -> str:
    by_net: dict[str, dict[tuple[str, str | None], float]] = {}
    for row in rows:
        if row["protocol"] in ("single", "flip"):
            by_net.setdefault(row["model"], {})[row["protocol"], row["average"]] = row["top1_error"]
    lines = []
    for name, errors in by_net.items():
        single = [errors.get(("single", average)) for average in ("probabilities", "logits")]
        if None in single:  # one view of one net: there is nothing to average
            single = [errors["single", None]] * 2
        flip = [errors["flip", average] for average in ("probabilities", "logits")]
        lines.append(_row(name, *(f"{error:.2f} %" for error in (*single, *flip))))
    head = ("net", "single, probabilities", "single, logits", "flip, probabilities", "flip, logits")
    return "\n".join([_row(*head), _row("---", *["--:"] * 4), *lines])


def _selection(runs: list[dict[str, Any]]) -> str:
    lines = []
    for run in runs:
        net = re.sub(r"he2015-(.+)-seed.*", r"\1", run["metrics"])
        figures = (f"{run[key]:.2f} %" for key in ("last", "mean", "lowest", "highest"))
        lines.append(_row(net, run["evaluations"], *figures))
    head = ("run", "evaluations", "last", "mean", "lowest", "highest")
    return "\n".join([_row(*head), _row("---", *["--:"] * 5), *lines])


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main() -> None:
    made = tables()
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda found: found[1] + made[found[2]] + found[4], text), encoding="utf-8")


if __name__ == "__main__":
    main()
