"""Results show themselves alike: a few lines in a shell, figures where they draw, and tables of one type."""

import importlib
import inspect
import pkgutil

import pytest

import rescli.report
import rescli.workflows

RESULTS = sorted(
    {
        found
        for package in (rescli.workflows, rescli.report)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        for found in vars(importlib.import_module(module.name)).values()
        if inspect.isclass(found) and found.__module__ == module.name and "_repr_html_" in vars(found)
    },
    key=lambda found: found.__name__,
)
NAMES = [found.__name__ for found in RESULTS]


def test_these_are_the_results():
    assert {"Comparison", "Evaluation", "ExportResult", "Net", "Predictions", "Reproduction"} <= set(NAMES)


@pytest.mark.parametrize("result", RESULTS, ids=NAMES)
def test_a_shell_does_not_get_the_repr_of_a_bare_dataclass(result):
    if result.__name__ == "Run":  # its path, and no more
        return
    assert not result.__repr__.__qualname__.startswith("__create_fn__")
    assert result.__repr__ is not object.__repr__


def _public(result):
    return [
        (name, each) for name, each in vars(result).items() if inspect.isfunction(each) and name[0] != "_"
    ]


@pytest.mark.parametrize("result", RESULTS, ids=NAMES)
def test_one_word_means_one_thing(result):
    for name, method in _public(result):
        drawn = name == "figure" or name.endswith("_figure") or name == "curves"
        annotated = str(inspect.signature(method).return_annotation)
        assert ("Figure" in annotated) == drawn, name
        assert name != "table" or annotated == "Table"
        assert "picture" not in name
        assert name != "as_frame"
