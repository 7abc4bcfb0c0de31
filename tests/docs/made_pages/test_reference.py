"""The pages of docs/reference are what their scripts make of the code, and hold what they promise."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

import rescli
from rescli import paper
from rescli.spec.load import load_spec
from rescli.workflows.listings.presets import describe_keys, presets

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ROOT / "docs" / "scripts"
MAKE = "python docs/scripts/reference.py"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """``made("spec")``: the page that its script makes now."""
    monkeypatch.syspath_prepend(SCRIPTS)
    import reference  # type: ignore[import-not-found]

    def make(name: str) -> str:
        text: str = reference.PAGES[name]()
        return text

    return make


def _committed(name: str) -> str:
    return (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["spec", "api"])
def test_a_page_is_up_to_date(name: str, made: Callable[[str], str]) -> None:
    assert made(name) == _committed(name), f"docs/reference/{name}.md is out of date; run: {MAKE}"


def test_the_page_of_commands_is_up_to_date(made: Callable[[str], str]) -> None:
    new, old = made("commands"), _committed("commands")
    if f"<!-- with typer {typer.__version__} -->" not in old:  # another one lays its text out another way
        new, old = _words(new), _words(old)
    assert new == old, f"docs/reference/commands.md is out of date; run: {MAKE}"


def _words(page: str) -> Any:
    return sorted(word for word in page.split() if word.startswith(("--", "`rescli", "#")) or word.islower())


def test_the_width_of_the_terminal_changes_no_page(
    made: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made("commands")
    monkeypatch.setenv("COLUMNS", "60")
    assert made("commands") == first


def test_every_command_has_its_help() -> None:
    page = _committed("commands")
    for command in ("rescli train", "rescli data pack", "rescli verify resume", "rescli models show"):
        assert f"`{command}`\n\n```text\nUsage: {command} [OPTIONS]" in page


def test_every_key_of_every_preset_is_on_the_page_of_keys() -> None:
    page = _committed("spec")
    keys = {
        key for name in presets() if name != "imagefolder/finetune" for key in describe_keys(load_spec(name))
    }
    assert len(keys) > 30
    assert sorted(key for key in keys if f"- `{key}`: " not in page) == []


def test_keys_say_unit_bounds_default_and_paper() -> None:
    page = " ".join(_committed("spec").split())
    assert (
        "- `data.batch_size`: Images of one iteration, of all processes together. "
        "- a whole number, in images, at least 1 and at most 1,048,576; default: `256` "
        f"- the paper: `{paper.CIFAR_BATCH_SIZE}` for CIFAR (section 4.2), "
        f"`{paper.IMAGENET_BATCH_SIZE}` for ImageNet (section 3.4)"
    ) in page
    assert "- `optimizer.decay`" in page
    assert page.count("not stated") > 10
    assert "`optimizer.momentum`" in page
    assert "None" not in page


def test_the_page_of_the_library_has_every_name_of_the_front_door() -> None:
    page = _committed("api")
    names = set(rescli.__all__) - {"__version__"}
    assert sorted(name for name in names if f"\n### rescli.{name}\n" not in page) == []
    for result in (
        "Run",
        "Net",
        "Evaluation",
        "Comparison",
        "Predictions",
        "ExportResult",
        "RunSpec",
        "Checkup",
    ):
        assert f"\n### {result}\n" in page


def test_the_page_of_the_library_is_made_without_importing_it() -> None:
    code = "import sys, api; api.page(); sys.exit('rescli' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, check=False).returncode == 0
