"""The tables of the page of protocols are those that were measured."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "docs" / "scripts" / "protocols_tables.py"
    spec = importlib.util.spec_from_file_location("protocols_tables", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not module.SMALL.is_file():
        pytest.skip("the results are not part of the source distribution")
    return module


def test_the_tables_are_those_of_the_results(script: ModuleType) -> None:
    assert script.shown(script.PAGE.read_text(encoding="utf-8")) == script.tables()


@pytest.mark.parametrize(("name", "num_images"), [("SMALL", 10_000), ("PHOTOS", 1000)])
def test_every_result_is_of_the_whole_split(script: ModuleType, name: str, num_images: int) -> None:
    rows = json.loads(getattr(script, name).read_text(encoding="utf-8"))["rows"]
    assert {row["num_images"] for row in rows} == {num_images}


def test_what_the_text_says_of_selection_is_in_the_results(script: ModuleType) -> None:
    text = script.PAGE.read_text(encoding="utf-8")
    runs = json.loads(script.SMALL.read_text(encoding="utf-8"))["selection"]
    gained = [f"{run['mean'] - run['lowest']:.2f}" for run in runs]
    assert f"The lowest of sixteen is {gained[0]} and {gained[1]} points below their mean" in text
    assert {run["evaluations"] for run in runs} == {16}
