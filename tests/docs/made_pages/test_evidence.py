"""docs/numbers/evidence.md says what benchmarks/results holds, and nothing else."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_made_of_the_results() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "scripts" / "evidence.py"))
    page = (ROOT / "docs" / "numbers" / "evidence.md").read_text(encoding="utf-8")
    assert page == script["page"](), "run: python docs/scripts/evidence.py"


def test_each_picture_of_the_tour_says_where_it_is_from() -> None:
    import json

    noted = json.loads((ROOT / "docs" / "img" / "pictures.json").read_text(encoding="utf-8"))
    assert {"curves.png", "responses.png", "report.png"} <= set(noted)
    assert all(note["command"].startswith("rescli ") and note["trained"] for note in noted.values())
