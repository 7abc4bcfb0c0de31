"""A command without what it needs says all of it, and what each may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import typer

from rescli.cli.app import build_app

Rescli = Callable[..., Any]


@pytest.mark.parametrize(
    ("typed", "needs", "says"),
    [
        (
            ["export", "net"],
            "export needs --format NAME and --out PATH.",
            "--format NAME: Kind of file",
        ),
        (["export", "net", "--format", "onnx"], "needs --out PATH.", "The file or folder to make"),
        (["export"], "export needs CKPT, --format NAME and --out PATH.", "CKPT: A checkpoint"),
        (["import", "x.pth"], "--model", "--dataset"),
        (["import", "x.pth", "--model", "resnet-18", "--dataset", "cifar10"], "--out FILE", "must not exist"),
        (["data", "tidy"], "data tidy needs --out", "--out"),
        (["reproduce"], "reproduce needs TARGET.", "TARGET: "),
        (["compare", "--seeds", "2"], "compare needs WHAT.", "WHAT: "),
    ],
)
def test_all_that_is_missing_is_said_at_once(rescli: Rescli, typed: list[str], needs: str, says: str) -> None:
    answer = rescli(*typed)
    assert (answer.code, answer.out) == (2, "")
    first, _, rest = answer.err.partition("\n")
    assert first.startswith(f"error: rescli {typed[0]}")
    assert needs in first
    assert says in rest
    assert "--help" in answer.err


def test_other_mistakes_are_said_as_before(rescli: Rescli) -> None:
    answer = rescli("export", "--nonsense")
    assert answer.code == 2
    assert "No such option" in answer.err
    assert rescli("export", "--help").code == 0


def test_whatever_a_command_needs_has_words_that_explain_it() -> None:
    def below(command: Any) -> list[Any]:
        return [command, *(one for sub in getattr(command, "commands", {}).values() for one in below(sub))]

    bare = [
        f"{command.name} {param.name}"
        for command in below(typer.main.get_command(build_app()))
        for param in command.params
        if param.required and not getattr(param, "help", None)
    ]
    assert bare == []
