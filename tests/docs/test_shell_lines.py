"""How the lines of a block of shell are read: ``tests/made/shell_lines.py``."""

from __future__ import annotations

import pytest
from shell_lines import Call, calls, lines_of, others


def test_continued_lines_are_one() -> None:
    code = "rescli train \\\n  quickstart\n\nrescli models\n"
    assert list(lines_of(code, 5)) == [(5, "rescli train   quickstart"), (8, "rescli models")]


def test_only_the_commands_of_rescli_are_kept() -> None:
    assert calls(1, "pip install . && rescli train quickstart  # two minutes") == [
        Call(1, ["train", "quickstart"], {})
    ]
    assert calls(1, "python net.py cat.jpg") == []


def test_variables_pipes_and_files_are_seen() -> None:
    (call,) = calls(3, "RESCLI_DATA='a b' rescli eval runs/x --json > eval.json")
    assert call == Call(3, ["eval", "runs/x", "--json"], {"RESCLI_DATA": "a b"}, into="eval.json")
    (call,) = calls(3, "find . -name '*.jpg' | rescli predict x -")
    assert call == Call(3, ["predict", "x", "-"], {}, before="find . -name '*.jpg'")


def test_quoted_values_stay_whole() -> None:
    (call,) = calls(1, """rescli train x --set 'data.dataset.exclude=["BACKGROUND_Google"]'""")
    assert call.words[-1] == 'data.dataset.exclude=["BACKGROUND_Google"]'


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("rescli models  # all of them; pip install x", []),
        ("# a comment && no command", []),
        ("pip install . && rescli train quickstart", ["pip install ."]),
        ("python net.py cat.jpg", ["python net.py cat.jpg"]),
        ("find . | rescli predict x -", []),
        ("rescli models | head -1", ["head -1"]),
        ("export RESCLI_DATA=/data", ["export RESCLI_DATA=/data"]),
        ("A=1 B=2; rescli models", ["A=1 B=2"]),
    ],
)
def test_what_else_a_line_does_is_told(text: str, rest: list[str]) -> None:
    assert others(text) == rest
