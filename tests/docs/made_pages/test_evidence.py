"""docs/numbers/evidence.md says what benchmarks/results holds, and nothing else."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_made_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (ROOT / "benchmarks" / "results").is_dir():
        pytest.skip("the results are not part of the source distribution")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "scripts"))
    script = runpy.run_path(str(ROOT / "docs" / "scripts" / "evidence.py"))
    page = (ROOT / "docs" / "numbers" / "evidence.md").read_text(encoding="utf-8")
    assert page == script["page"](), "run: python docs/scripts/evidence.py"


def test_each_picture_is_the_one_that_its_note_is_of() -> None:
    folder = ROOT / "docs" / "img"
    noted = json.loads((folder / "pictures.json").read_text(encoding="utf-8"))
    pictures = {path.name: path for path in folder.iterdir() if path.name != "pictures.json"}
    found = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in pictures.items()}
    assert {name: note["sha256"] for name, note in noted.items()} == found
    assert all(note["command"].startswith("rescli ") and note["trained"] for note in noted.values())
