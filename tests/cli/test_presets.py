"""``rescli presets`` as a user types it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescli.spec.load import load_spec, preset_names, preset_text, spec_from_dict


def test_list_has_every_preset_with_its_first_line(rescli: Callable[..., Any]) -> None:
    answer = rescli("presets", "list")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines] == preset_names()
    for line in lines:
        name, _, summary = line.partition(" ")
        assert f"# {summary.strip()}" == preset_text(name).splitlines()[0]


def test_without_a_word_it_lists(rescli: Callable[..., Any]) -> None:
    assert rescli("presets").out == rescli("presets", "list").out


def test_list_json(rescli: Callable[..., Any]) -> None:
    rows = rescli("presets", "list", "--json").json["presets"]
    assert [row["name"] for row in rows] == preset_names()
    assert all(row.keys() == {"name", "summary"} and row["summary"] for row in rows)


@pytest.mark.parametrize("name", preset_names())
def test_show_is_the_whole_spec_as_toml(name: str, rescli: Callable[..., Any]) -> None:
    text = rescli("presets", "show", name).out
    assert spec_from_dict(tomllib.loads(text)) == load_spec(name)


def test_show_explains_every_key(rescli: Callable[..., Any]) -> None:
    lines = rescli("presets", "show", "he2015/resnet-110").out.splitlines()
    keys = [line for line in lines if " = " in line]
    bare = {line.split(" = ")[0] for line in keys if "  # " not in line}
    assert bare <= {"kind"}  # the section's name says it
    assert "lr = 0.1  # Base learning rate; the schedule multiplies it." in lines


def test_show_json(rescli: Callable[..., Any]) -> None:
    facts = rescli("presets", "show", "quickstart", "--json").json
    spec = load_spec("quickstart")
    assert facts == {"name": "quickstart", "spec": spec.to_dict(), "spec_sha256": spec.fingerprint()}


def test_what_show_prints_can_be_trained(rescli: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(rescli("presets", "show", "quickstart").out)
    ours = rescli("train", path, "--dry-run", "--json").json
    theirs = rescli("train", "quickstart", "--dry-run", "--json").json
    assert ours == {**theirs, "preset": str(path)}


def test_unknown_preset(rescli: Callable[..., Any]) -> None:
    answer = rescli("presets", "show", "cifar10/resnet20")
    assert (answer.code, answer.out) == (2, "")
    assert "Did you mean 'cifar10/resnet-20'?" in answer.err


@pytest.mark.parametrize("command", ["presets", "plugins"])
def test_no_line_is_wider_than_the_screen(
    rescli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    whole = rescli(command).out
    assert max(map(len, whole.splitlines())) > 80
    for columns in (80, 50):
        monkeypatch.setenv("COLUMNS", str(columns))
        shown = rescli(command).out
        # A word that has no space in it is never broken.
        assert all(len(line) <= columns or len(line.split()) == 1 for line in shown.splitlines())
        assert shown.split() == whole.split()
