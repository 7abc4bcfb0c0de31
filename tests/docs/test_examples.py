"""The examples of the API reference, and those in the docstrings of what ``import rescli`` offers."""

from __future__ import annotations

import doctest
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rescli

PAGE = "docs/python.md"


def test_the_examples_of_the_reference_run_in_order(
    blocks_of: Callable[..., Any],
    run_block: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "reference"}
    examples = [block for block in blocks_of(PAGE) if block.language == "python"]
    assert len(examples) >= 10
    for block in examples:
        run_block(block, names)
    written = {str(path) for path in Path().rglob("*")}
    assert {"curves.png", "comparison.png", "comparisons/first/report.html"} <= written
    assert "Traceback" not in capsys.readouterr().err


def test_the_reference_has_a_heading_for_every_function() -> None:
    page = (Path(__file__).resolve().parents[2] / PAGE).read_text(encoding="utf-8")
    functions = [name for name in rescli.__all__ if inspect.isfunction(getattr(rescli, name))]
    assert [name for name in functions if f"\n## {name.replace('_', ' ').capitalize()}\n" not in page] == []


@pytest.mark.parametrize("name", sorted(set(rescli.__all__) - {"__version__", "errors"}))
def test_the_examples_in_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    offered = getattr(rescli, name)
    found = doctest.DocTestFinder().find(
        inspect.unwrap(offered), name, globs={"rescli": rescli, name: offered}
    )
    examples = [example for one in found for example in one.examples]
    assert examples, f"rescli.{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for one in found:
        runner.run(one)
    assert runner.summarize(verbose=False).failed == 0
    assert os.getcwd() == str(tmp_path)
