"""``to_toml`` against the standard library's reader."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescli.spec.toml import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = (
    TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=4)
TABLES = st.recursive(
    st.dictionaries(TEXT, VALUES, max_size=4),
    lambda tables: st.dictionaries(TEXT, VALUES | tables, max_size=4),
    max_leaves=8,
)


@given(TABLES)
def test_reading_back_gives_an_equal_mapping(table: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(table)) == table


@given(st.dictionaries(TEXT, SCALARS, max_size=4))
def test_types_survive(table: dict[str, Any]) -> None:
    """1 and 1.0 and true are equal in Python, and three things in a spec."""
    back = tomllib.loads(to_toml(table))
    assert {key: type(value) for key, value in back.items()} == {k: type(v) for k, v in table.items()}


def test_reads_as_a_person_would_write_it() -> None:
    spec = {
        "iterations": 64000,
        "model": {"kind": "resnet", "block": {"kind": "basic"}},
        "schedule": {"milestones": (32000, 48000), "gamma": 0.1},
        "data": {"dataset": {"kind": "shapes"}},
    }
    assert to_toml(spec) == (
        "iterations = 64000\n"
        "\n"
        "[model]\n"
        'kind = "resnet"\n'
        "\n"
        "[model.block]\n"
        'kind = "basic"\n'
        "\n"
        "[schedule]\n"
        "milestones = [32000, 48000]\n"
        "gamma = 0.1\n"
        "\n"
        "[data.dataset]\n"  # [data] has no value of its own and needs no line
        'kind = "shapes"\n'
    )


def test_comments_stand_behind_their_values() -> None:
    text = to_toml({"seed": 0, "data": {"pad": 4}}, comments={"data.pad": "pixels", "no.such": "dropped"})
    assert text == "seed = 0\n\n[data]\npad = 4  # pixels\n"


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({}, ""),
        ({"empty": {}}, "[empty]\n"),
        ({"a.b": 1}, '"a.b" = 1\n'),
        ({"": 1}, '"" = 1\n'),
        ({"lr": 1e-05}, "lr = 1e-05\n"),
        ({"x": True}, "x = true\n"),
    ],
)
def test_corners(table: dict[str, Any], text: str) -> None:
    assert to_toml(table) == text
    assert tomllib.loads(text) == table
