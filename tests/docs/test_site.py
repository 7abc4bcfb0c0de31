"""What the hooks of the site do: ``docs/scripts/outside_pages.py`` and ``docs/scripts/nothing_loaded.py``."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mkdocs.exceptions import PluginError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``hook("outside_pages")``: the module."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "scripts")
    return importlib.import_module


def _page(name: str) -> Any:
    return SimpleNamespace(file=SimpleNamespace(src_uri=name))


@pytest.mark.parametrize(
    ("page", "written", "in_the_site"),
    [
        ("README.md", "[how](../CONTRIBUTING.md#the-laws)", "[how](project/CONTRIBUTING.md#the-laws)"),
        ("reference/spec.md", "[t](../../README.md)", "[t](../project/README.md)"),
        ("reference/spec.md", "[p](../training.md#stop)", "[p](../training.md#stop)"),
        ("python.md", "[`events`](../rescli/training/events.py)", "`events`"),
        ("python.md", "[a notebook](../examples/degradation.ipynb)", "a notebook"),
        ("project/README.md", "![c](docs/img/curves.png)", "![c](../img/curves.png)"),
        ("project/README.md", "[h](docs/README.md) [l](LICENSE)", "[h](../README.md) l"),
        ("project/CONTRIBUTING.md", "[f](docs/faults.md)", "[f](../faults.md)"),
        (
            "data.md",
            "[arXiv](https://arxiv.org/abs/1) [up](#cifar)",
            "[arXiv](https://arxiv.org/abs/1) [up](#cifar)",
        ),
        ("data.md", "```\n[a](../rescli/files.py)\n```\n", "```\n[a](../rescli/files.py)\n```\n"),
        ("data.md", "[gone](../rescli/gone.py)", "[gone](../rescli/gone.py)"),
    ],
)
def test_a_link_of_a_page(page: str, written: str, in_the_site: str, hook: Any) -> None:
    assert hook("outside_pages").on_page_markdown(written, page=_page(page)) == in_the_site


@pytest.mark.parametrize(
    "html",
    [
        '<img alt="x" src="https://example.org/badge.svg">',
        '<script src="//example.org/x.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example.org/css">',
        "<style>@import 'https://example.org/x.css'</style>",
    ],
)
def test_what_loads_something_from_elsewhere_is_refused(html: str, hook: Any) -> None:
    with pytest.raises(PluginError, match=r"data\.md loads something from elsewhere: .*example"):
        hook("nothing_loaded").on_post_page(f"<p>{html}</p>", page=_page("data.md"))


def test_links_to_follow_are_no_loading(hook: Any) -> None:
    html = '<a href="https://arxiv.org/abs/1512.03385">paper</a><img src="../img/curves.png">'
    assert hook("nothing_loaded").on_post_page(html, page=_page("data.md")) == html
