"""The examples in the docstrings of what Python calls say what happens."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import rescli.workflows

NAMES = [
    *("rescli.remedy", "rescli.registry", "rescli.cli.output.wording", "rescli.cli.remedies"),
    *(f"rescli.workflows.{module.name}" for module in pkgutil.iter_modules(rescli.workflows.__path__)),
]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
