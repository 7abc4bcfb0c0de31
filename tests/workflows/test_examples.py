"""The examples in the docstrings of what Python calls say what happens."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import rescli.workflows

NAMES = [
    *("rescli.remedy", "rescli.registry", "rescli.cli.output.wording", "rescli.cli.remedies"),
    *(module.name for module in pkgutil.walk_packages(rescli.workflows.__path__, "rescli.workflows.")),
]

STILL_TO_DO = {"compare"}
"""It trains two nets."""

WORKFLOWS = {
    function.__name__: function
    for name in NAMES
    if name.startswith("rescli.workflows.")
    for function in vars(importlib.import_module(name)).values()
    # What ``with_notes`` made: what a notebook calls and the command line prints.
    if inspect.isfunction(function)
    and hasattr(function, "__wrapped__")
    and not inspect.isgeneratorfunction(inspect.unwrap(function))
    and function.__module__ == name
}


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_every_function_has_an_example_that_runs(name: str) -> None:
    example = doctest.DocTestParser().get_examples(WORKFLOWS[name].__doc__ or "")
    runs = [line for line in example if not line.options.get(doctest.SKIP)]
    assert runs or name in STILL_TO_DO


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
