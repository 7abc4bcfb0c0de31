"""The page on Python has a part for every function, and every function an example that runs."""

from __future__ import annotations

import doctest
import inspect
import os
from pathlib import Path

import pytest

import rescli

PAGE = "docs/python.md"


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
