"""``rescli models`` as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from typer.testing import CliRunner

from rescli import registry
from rescli.cli.models import app
from rescli.errors import SpecError, UnknownNameError


def _run(*argv: str) -> str:
    result = CliRunner().invoke(app, list(argv), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def _show(*argv: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(_run("show", *argv, "--json"))
    return facts


def test_module_import_is_light() -> None:
    code = (
        "import sys, rescli.cli.models;"
        "sys.exit(bool({'torch', 'numpy', 'pydantic', 'matplotlib'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bare_command_lists() -> None:
    assert _run() == _run("list")
    assert _run("--json") == _run("list", "--json") == _run("--json", "list")


def test_list_names_families_and_options() -> None:
    text = _run("list")
    for word in ("plain-N", "resnet-N", "6n+2", "18 34 50 101 152", "shortcut: A B C", "stride_on: 1x1 3x3"):
        assert word in text
    models = {model["kind"]: model for model in json.loads(_run("list", "--json"))["models"]}
    assert models["plain"]["families"]["imagenet"] == "18 34"
    assert models["resnet"]["options"]["shortcut"] == ["A", "B", "C"]
    assert "shortcut" not in models["plain"]["options"]


def test_show_resnet_110_json() -> None:
    facts = _show("resnet-110")
    rows = facts.pop("rows")
    assert facts == {
        "name": "resnet-110",
        "family": "cifar",
        "shortcut": "A",
        "stride_on": "1x1",
        "image_size": 32,
        "num_classes": 10,
        "params": 1727962,
        "macs": 252887680,
    }
    assert [row["text"] for row in rows[:2]] == ["3×3, 16", "[3×3, 16; 3×3, 16] × 18"]
    assert sum(row["params"] for row in rows) == 1727962
    assert sum(row["macs"] for row in rows) == 252887680


def test_show_json_before_the_subcommand_too() -> None:
    assert json.loads(_run("--json", "show", "plain-20")) == _show("plain-20")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["resnet-50"], {"params": 25557032, "macs": 3857973248, "image_size": 224, "num_classes": 1000}),
        (["resnet-50", "--stride-on", "3x3"], {"params": 25557032, "stride_on": "3x3", "macs": 4089184256}),
        (["resnet-50", "--image-size", "32"], {"family": "cifar", "num_classes": 10}),
        (["resnet-18", "--shortcut", "C"], {"params": 12043816, "shortcut": "C"}),
        (["resnet-56", "--num-classes", "100"], {"params": 853018 + 90 * 65}),
        (["plain-34"], {"params": 21623848, "shortcut": None, "stride_on": None, "family": "imagenet"}),
        (["plain-50"], {"family": "cifar", "image_size": 32}),
    ],
)
def test_show_options(argv: list[str], expected: dict[str, Any]) -> None:
    facts = _show(*argv)
    assert {key: facts[key] for key in expected} == expected


def test_show_prints_table_1() -> None:
    text = _run("show", "resnet-50")
    for word in (
        "resnet-50, shortcut B, stride on 1x1, 224×224 images, 1,000 classes",
        "conv2_x",
        "3×3 max pool, stride 2",
        "[1×1, 64; 3×3, 64; 1×1, 256] × 3",
        "[1×1, 256; 3×3, 256; 1×1, 1024] × 6",
        "params  25,557,032",
        "3,857,973,248 per image (3.858e9)",
    ):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


def test_unknown_name_is_raised_with_its_neighbour() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet-56'"):
        _run("show", "resnet56")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["resnet-57"], r"57 is not 6n\+2; the nearest depths are 56 \(n=9\) and 62 \(n=10\)"),
        (["resnet-20", "--image-size", "224"], "18 34 50 101 152"),
        (["resnet-20", "--shortcut", "D"], "must be one of A, B, C"),
        (["plain-20", "--shortcut", "A"], "unknown key"),
    ],
)
def test_bad_specs_are_raised(argv: list[str], says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        _run("show", *argv)
    assert caught.value.exit_code == 2


def test_broken_plugin_is_one_line_of_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("broken", "no_such_package:Spec", "rescli.models")
    monkeypatch.setitem(registry._table("models"), "broken", [point])
    result = CliRunner().invoke(app, ["list", "--json"], catch_exceptions=False)
    assert [model["kind"] for model in json.loads(result.stdout)["models"]] == ["plain", "resnet"]
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("warning: model 'broken'")
