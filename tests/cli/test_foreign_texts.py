"""What strangers wrote into a checkpoint, a folder or a file reaches no reader that would obey it."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from foreign_texts import EVIL, FORGED, obeyed
from PIL import Image

from rescli.checkpoints.checkpoint import Checkpoint
from rescli.cli.output.streams import streams_of_a_program
from rescli.report.messages import GuardedStream, say

Rescli = Callable[..., Any]

ALL = " ".join(EVIL).replace("\ud800", "")
CLASSES = [text.replace("/", "_").replace("\ud800 ", "").replace("\udce9", "é") for text in EVIL]
"""As names of folders that a net can be trained on."""


@pytest.fixture
def evil8(checkpoint_of: Callable[..., Any], tmp_path: Path) -> Path:
    """A checkpoint in which whatever may be any text is one of ``EVIL``."""
    made = checkpoint_of("resnet-8")
    names = tuple(f"{EVIL[k % len(EVIL)]}{k}" for k in range(len(made.class_names)))
    val = {**made.results["val"], "protocol": ALL, "selection": ALL}
    path = tmp_path / "evil.safetensors"
    origin = {"file": ALL, "layout": ALL, "sha256": ALL}
    evil = {"selection": ALL, "results": {"val": val, ALL: val}, "data": {"imported_from": origin}}
    replace(made, class_names=names, **evil).write(path)
    return path


@pytest.fixture
def evil_run(
    rescli: Rescli,
    write_noise: Callable[..., None],
    small_flags: Callable[..., list[object]],
    tmp_path: Path,
) -> tuple[Path, Path]:
    """A checkpoint trained on folders named so, and those folders."""
    root = tmp_path / "set"
    for seed, text in enumerate(CLASSES):
        for split in ("train", "val"):
            write_noise(root / split / text, 1, seed)
    answer = rescli("train", *small_flags(root), "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert obeyed(answer.out + answer.err) == []
    path = tmp_path / "run" / "checkpoints" / "last.safetensors"
    replace(Checkpoint.read(path), selection=ALL).write(path)
    return path, root


@pytest.fixture
def evil_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, text in enumerate(EVIL):
        if "\ud800" not in text:
            Image.new("RGB", (32, 32), "red").save(folder / f"{text.replace('/', '_')}{number}.png")
    (folder / f"damaged {EVIL[1]}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def test_show(rescli: Rescli, evil8: Path) -> None:
    answer = rescli("show", evil8, "--tensors")
    assert answer.code == 0
    assert obeyed(answer.out + answer.err) == []
    assert r"\x1b]0;title\x07" in answer.out
    assert rescli("show", evil8, "--json").json["class_names"][0] == f"{EVIL[0]}0"


def test_train_and_eval(rescli: Rescli, evil_run: tuple[Path, Path]) -> None:
    checkpoint, _ = evil_run
    answer = rescli("eval", checkpoint, "--split", "val", "--per-class")
    assert answer.code == 0, answer.err
    assert obeyed(answer.out + answer.err) == []
    answer = rescli("eval", checkpoint, "--split", "val", "--per-class", "--json")
    assert {one["class"] for one in answer.json["results"][0]["per_class"]} == {*CLASSES}


@pytest.mark.parametrize("command", ["verify", "pack", "tidy"])
def test_data(rescli: Rescli, command: str, write_noise: Callable[..., None], tmp_path: Path) -> None:
    for seed, text in enumerate(CLASSES):
        write_noise(tmp_path / "set" / "train" / text, 1, seed)
        (tmp_path / "set" / "train" / text / f"{text}.txt").write_text("")
    place = ("imagefolder",) if command != "tidy" else ()
    out = () if command == "verify" else ("--out", tmp_path / "out")
    answer = rescli("data", command, *place, "--data-root", tmp_path / "set", *out)
    assert obeyed(answer.out + answer.err) == []


def test_predict(rescli: Rescli, evil8: Path, evil_folder: Path, tmp_path: Path) -> None:
    table, figure = tmp_path / "table.csv", tmp_path / "sheet.svg"
    answer = rescli("predict", evil8, evil_folder, "--csv", table, "--figure", figure, "--device", "cpu")
    assert answer.code == 3  # one of them is damaged
    assert obeyed(answer.out + answer.err) == []
    assert "skipped" in answer.err
    assert "<script>" not in figure.read_text(encoding="utf-8")


def test_compare(rescli: Rescli, evil8: Path, net8: Path, tmp_path: Path) -> None:
    other = tmp_path / f"{EVIL[0]}<script>\n{FORGED}.safetensors"
    other.write_bytes(net8.read_bytes())
    answer = rescli("compare", evil8, other, "--out", tmp_path / "made", "--device", "cpu")
    assert obeyed(answer.out + answer.err) == []
    if answer.code == 0:
        page = (tmp_path / "made" / "report.html").read_text(encoding="utf-8")
        assert page.count("<script>") == 1
        assert obeyed(page) == []


def test_export_and_its_card(rescli: Rescli, evil_run: tuple[Path, Path], tmp_path: Path) -> None:
    checkpoint, root = evil_run
    given = rescli("eval", checkpoint, "--split", "val", "--json").json
    for row in given["results"]:
        row["protocol"] = row["selection"] = row["precision"] = ALL
    results = tmp_path / "results.json"
    results.write_text(json.dumps(given), encoding="utf-8")
    flags = ("--out", tmp_path / "hub", "--results", results, "--data-root", root)
    answer = rescli("export", checkpoint, "--format", "huggingface", *flags)
    assert answer.code == 0, answer.err
    assert obeyed(answer.out + answer.err) == []
    card = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    assert obeyed(card) == []
    assert "<script>" not in card
    assert re.findall(r"(?<!\\)\]\([^)]+\)", card) == ["](https://arxiv.org/abs/1512.03385)"]
    (row,) = [line for line in card.splitlines() if line.startswith("| ") and "&lt;script" in line]
    assert row.replace("\\|", "").count("|") == 7
    head = card.split("---")[1]
    assert "evil" not in head


def test_names_that_nothing_answers_to(rescli: Rescli, net8: Path) -> None:
    """What is typed may be a name of a file that a shell put in for a star."""
    for text in (ALL, f"x\n{FORGED}"):
        for typed in (
            *(("show", text), ("eval", text), ("predict", net8, text), ("models", "show", text)),
            *(("train", text), ("presets", "show", text), ("compare", text, text), ("data", "verify", text)),
            *(("export", text, "--out", "x"), ("export", net8, "--format", text, "--out", "x")),
            *(("train", "--resume", text), (text,), ("train", f"--{text}"), ("predict", net8, "--csv", text)),
            *(("train", "quickstart", "--set", f"a={text}"), ("train", "quickstart", "--set", f"{text}=1")),
        ):
            answer = rescli(*typed)
            assert answer.code not in (0, 1), typed
            assert obeyed(answer.out + answer.err) == [], typed


def test_a_message_of_a_stranger_takes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"warning: {EVIL[7]}")
    assert capsys.readouterr().err == f"warning: x\n  {FORGED}\n"


def test_commands_to_paste_hold_one_word_for_each_path(
    rescli: Rescli, net8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a b", "$(touch owned)", "it's", "`touch owned`", "; touch owned"):
        path = Path(f"{name}.safetensors")
        path.write_bytes(net8.read_bytes())
        answer = rescli("import", path, "--model", "resnet-8", "--dataset", "cifar10", "--out", "x")
        figure = rescli("eval", net8, "--split", "val", "--figure", f"{name}/x.png")
        (hint,) = [line for line in figure.err.splitlines() if "mkdir" in line]
        assert shlex.split(hint) == ["mkdir", "-p", name]
        assert answer.code != 0
    assert not Path("owned").exists()


@pytest.mark.usefixtures("capsys")
def test_whatever_is_printed_is_guarded() -> None:
    """Also by other libraries and by commands of plugins."""
    with streams_of_a_program():
        assert isinstance(sys.stdout, GuardedStream)
        assert isinstance(sys.stderr, GuardedStream)
        assert not hasattr(sys.stdout, "buffer")
