"""A run directory where a checkpoint is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rescli = Callable[..., Any]

FLAGS = {
    "eval": ["--device", "cpu", "--json"],
    "analyze responses": ["--device", "cpu", "--json"],
    "show": ["--json"],
    "export": ["--format", "safetensors", "--out", "net.safetensors"],
}


@pytest.fixture
def run(rescli: Rescli, tiny: list[str], tmp_path: Path) -> Path:
    assert rescli("train", *tiny, "--out", tmp_path / "run", "-q").code == 0
    return tmp_path / "run"


@pytest.mark.parametrize("command", ["eval", "analyze responses", "show"])
def test_a_run_directory_is_its_last_checkpoint(rescli: Rescli, run: Path, command: str) -> None:
    last = run / "checkpoints" / "last.safetensors"
    answers = [rescli(*command.split(), path, *FLAGS[command]) for path in (run, last)]
    assert [answer.code for answer in answers] == [0, 0], answers
    told, expected = (answer.json for answer in answers)
    if command == "eval":
        for row in (*told["results"], *expected["results"]):
            del row["cached"]  # the second time it is
    assert told == expected


def test_export_and_train_take_one_too(rescli: Rescli, run: Path, tmp_path: Path, tiny: list[str]) -> None:
    answer = rescli("export", run, "--format", "torch-export", "--out", tmp_path / "net.pt2")
    assert answer.code == 0, answer.err
    assert f"{run / 'checkpoints' / 'last.safetensors'}: writing" in answer.err
    answer = rescli("train", *tiny, "--from", run, "--out", tmp_path / "more", "-q", "--json")
    assert answer.code == 0, answer.err
    assert "checkpoints/last.safetensors" in (tmp_path / "more" / "spec.toml").read_text()


@pytest.mark.parametrize("command", FLAGS)
def test_a_folder_without_one_says_what_to_give(
    rescli: Rescli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    answer = rescli(*command.split(), folder, *FLAGS[command])
    assert (answer.code, answer.out) == (2, "")
    assert "is a folder and no run directory" in answer.err
    (folder / "best.safetensors").touch()
    assert (
        f"name a file: {folder / 'best.safetensors'}" in rescli(*command.split(), folder, *FLAGS[command]).err
    )
    (folder / "spec.toml").touch()
    answer = rescli(*command.split(), folder, *FLAGS[command])
    assert "stopped before its first one" in answer.err
    assert f"try: rescli train --resume {folder}" in answer.err


@pytest.mark.parametrize("part", ["checkpoints", "state", "state/00000004-abc.safetensors"])
@pytest.mark.parametrize("command", FLAGS)
def test_a_part_of_a_run_is_told_the_run(rescli: Rescli, tmp_path: Path, command: str, part: str) -> None:
    run = tmp_path / "run"
    for file in ("checkpoints/best.safetensors", "state/00000004-abc.safetensors", "spec.toml"):
        (run / file).parent.mkdir(parents=True, exist_ok=True)
        (run / file).touch()
    answer = rescli(*command.split(), run / part, *FLAGS[command])
    assert answer.out == ""
    assert f"name the run: {run}" in answer.err
