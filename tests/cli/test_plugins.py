"""``rescli plugins`` as a user types it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from rescli import registry


def test_lists_every_name_of_every_group(rescli: Callable[..., Any]) -> None:
    answer = rescli("plugins", "--json")
    assert (answer.code, answer.err) == (0, "")
    rows = answer.json["plugins"]
    listed = [(row["group"], row["name"]) for row in rows]
    assert listed == [(group, name) for group in registry.GROUPS for name in registry.names(group)]
    assert {row["distribution"] for row in rows} == {"rescli"}
    assert {row["problem"] for row in rows} == {None}
    (resnet,) = [row for row in rows if row["name"] == "resnet"]
    assert resnet["object"] == "rescli.models.specs:ResNetSpec"


def test_text_has_a_line_for_each(rescli: Callable[..., Any]) -> None:
    lines = rescli("plugins").out.splitlines()
    rows = rescli("plugins", "--json").json["plugins"]
    assert [line.split() for line in lines] == [
        [row["group"], row["name"], row["distribution"], row["object"]] for row in rows
    ]


def test_a_broken_plugin_is_named_with_its_reason(
    rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("broken", "no_such_package:Spec", "rescli.models")
    monkeypatch.setitem(registry._table("models"), "broken", [point])
    answer = rescli("plugins")
    assert answer.code == 0
    (line,) = [line for line in answer.out.splitlines() if "BROKEN" in line]
    assert line.split()[:2] == ["models", "broken"]
    assert "No module named 'no_such_package'" in line
    (row,) = [row for row in rescli("plugins", "--json").json["plugins"] if row["problem"]]
    assert row["name"] == "broken"


def test_a_name_claimed_twice_is_named_with_both(
    rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [EntryPoint("twice", f"{module}:Spec", "rescli.blocks") for module in ("one", "two")]
    monkeypatch.setitem(registry._table("blocks"), "twice", points)
    (row,) = [row for row in rescli("plugins", "--json").json["plugins"] if row["problem"]]
    assert "one:Spec" in row["problem"]
    assert "two:Spec" in row["problem"]
