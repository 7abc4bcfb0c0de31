"""Weights of other programs, and other files, where a command wants a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from rescli.models.specs import model_spec

Rescli = Callable[..., Any]


def small() -> dict[str, torch.Tensor]:
    net = model_spec("resnet-8", image_size=32).build(num_classes=10, image_size=32, seed=3)
    return dict(net.state_dict())


COMMANDS = {
    "eval": ["eval", "FILE"],
    "show": ["show", "FILE"],
    "predict": ["predict", "FILE", "FILE"],
    "export": ["export", "FILE", "--format", "onnx", "--out", "net.onnx"],
    "compare": ["compare", "FILE", "resnet-8"],
    "train": ["train", "quickstart", "--from", "FILE"],
    "analyze": ["analyze", "responses", "FILE"],
}


@pytest.mark.parametrize(
    ("command", "form"),
    [
        *((command, "zip") for command in COMMANDS),
        *(("eval", form) for form in ("legacy", "safetensors", "folder")),
        *((command, "safetensors") for command in ("compare", "train")),
        ("predict", "folder"),
    ],
)
def test_a_file_of_weights_is_sent_to_import(
    rescli: Rescli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    form: str,
) -> None:
    """Fault 9."""
    from safetensors.torch import save_file

    monkeypatch.chdir(tmp_path)
    file = given = Path("own.pth")
    if form == "safetensors":
        save_file(small(), file)
    elif form == "folder":
        given, file = Path("hub"), Path("hub/pytorch_model.bin")
        given.mkdir()
        Path("hub/config.json").write_text("{}")
        torch.save(small(), file)
    else:
        torch.save(small(), file, _use_new_zipfile_serialization=form == "zip")
    answer = rescli(*(str(given) if word == "FILE" else word for word in COMMANDS[command]))
    assert (answer.code, answer.out) == (2 if form == "folder" else 4, "")
    tried = answer.err.splitlines()[-1].partition("try: rescli ")[2].partition("  #")[0]
    assert tried == f"import {file} --model NAME --dataset NAME --out FILE.safetensors"
    if command != "eval":
        return
    typed = tried.replace("--model NAME", "--model resnet-8").replace("--dataset NAME", "--dataset cifar10")
    assert rescli(*typed.split()).code == 0


def test_another_kind_of_file_is_named(rescli: Rescli, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    answer = rescli("eval", tmp_path / "a.jpg")
    assert answer.code == 4
    assert "is not a whole safetensors file: it is a JPEG image." in answer.err
    assert "name a checkpoint" in answer.err
