"""examples/degradation.ipynb runs in a real Jupyter kernel, from its first cell to its last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "degradation.ipynb"


def _outputs(cell: Any, kind: str) -> list[str]:
    return [output["data"][kind] for output in cell.get("outputs", ()) if kind in output.get("data", ())]


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert [cell.id for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_the_notebook_runs_to_its_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("RESCLI_NOTEBOOK_ITERATIONS", "2")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()

    by_source = {cell.source: cell for cell in notebook.cells if cell.cell_type == "code"}
    shown = next(cell for source, cell in by_source.items() if source.endswith("\ncomparison"))
    progress, result = _outputs(shown, "text/html")  # and no third, such as a warning or a line of stderr
    assert len(shown["outputs"]) == 2
    for words in ("shapes-plain-32-seed0", "shapes-resnet-32-seed0", "2/2", "done", "testing ..."):
        assert words in progress
    assert "resnet-32" in result
    assert _outputs(by_source["comparison.figure()"], "image/png") != []
    *_, verdict = by_source.values()
    assert "plain-32 and resnet-32" in "".join(_outputs(verdict, "text/markdown"))
    assert (tmp_path / "runs" / "plain-14" / "record.json").is_file()
