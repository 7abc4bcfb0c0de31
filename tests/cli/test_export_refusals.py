"""What ``rescli export`` refuses before any work, and what it leaves where it fails: nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rescli = Callable[..., Any]
CHECKOUT = Path(__file__).resolve().parent.parent.parent
FEW = ("--check-images", "10")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--format", "onxx", "--out", "net.onnx"], "Did you mean 'onnx'?"),
        (["--format", "onnx", "--out", "net.pt"], "ends in .onnx"),
        (["--format", "TensorRT", "--out", "net.engine"], "a file of the format onnx, by its own tools"),
        (["--format", "coreml", "--out", "net.mlpackage"], "--format torch-export"),
        (["--format", "timm", "--out", "net.pth"], "none of 6n+2 layers such as resnet-8"),
        (["--format", "torchvision", "--out", "net.pth"], "torchvision does not have this network"),
        (["--format", "onnx", "--out", "net.onnx", "--precision", "bf16"], "no bf16 convolution on the CPU"),
        (["--format", "torch-export", "--out", "net.pt2", "--precision", "int8"], "--format onnx for int8"),
        (["--format", "safetensors", "--out", "net.safetensors", "--with-preprocessing"], "no computation"),
        (["--format", "onnx", "--out", "net.onnx", "--results", "absent.json"], "rescli eval CKPT --json"),
        (["--format", "onnx", "--out", "net.onnx", "--check-images", "3"], "--check-images"),
    ],
)
def test_what_cannot_work_is_exit_2_before_any_work(
    rescli: Rescli,
    net8: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = rescli("export", net8, *flags)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert os.listdir(tmp_path) == []


def test_a_package_that_is_missing(
    rescli: Rescli,
    net8: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name)
    )
    answer = rescli("export", net8, "--format", "onnx", "--out", tmp_path / "net.onnx")
    assert (answer.code, answer.out) == (2, "")
    assert "needs onnxscript to write and to check" in answer.err
    assert f"  pip install -e '{CHECKOUT}[onnx]'\n" in answer.err


def test_nothing_is_overwritten(rescli: Rescli, net8: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.pt2"
    out.write_bytes(b"precious")
    answer = rescli("export", net8, "--format", "torch-export", "--out", out)
    assert answer.code == 2
    assert out.read_bytes() == b"precious"


def test_a_missing_checkpoint_is_exit_4(rescli: Rescli, tmp_path: Path) -> None:
    answer = rescli("export", tmp_path / "absent", "--format", "onnx", "--out", tmp_path / "net.onnx")
    assert answer.code == 4
    assert "no such checkpoint" in answer.err


def test_images_that_were_named_and_are_not_there_are_exit_3(
    rescli: Rescli,
    imagenet18: Path,
    tmp_path: Path,
) -> None:
    flags = ("--format", "torchvision", "--out", tmp_path / "net.pth", "--data-root", tmp_path / "absent")
    answer = rescli("export", imagenet18, *flags)
    assert answer.code == 3
    assert not (tmp_path / "net.pth").exists()


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("onnx", "net.onnx"),
        ("torch-export", "net.pt2"),
        ("safetensors", "n.safetensors"),
        ("huggingface", "n"),
    ],
)
def test_a_full_disk_leaves_nothing(
    rescli: Rescli,
    net8: Path,
    tmp_path: Path,
    format: str,
    name: str,
) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        answer = rescli("export", net8, "--format", format, "--out", tmp_path / "new" / "deep" / name, *FEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert answer.code == 4
    assert "File too large; nothing was left there" in answer.err
    assert f"df -h {tmp_path})" in answer.err  # a folder that is there
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written(
    rescli: Rescli, net8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("rescli.exporters.export.staged_beside", denied)
    answer = rescli("export", net8, "--format", "safetensors", "--out", tmp_path / "new" / "n.safetensors")
    assert answer.code == 4
    assert "Permission denied; nothing was left there" in answer.err
    assert "df" not in answer.err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("format", "name", "flags", "says"),
    [
        ("onnx", "n.onnx", ["--opset", "12"], "--opset must be from 13 to 20; got 12"),
        ("onnx", "n.onnx", ["--opset", "21"], "--opset must be from 13 to 20; got 21"),
        ("onnx", "n.onnx", ["--batch-size", "0"], "greater than or equal to 1"),
        ("onnx", "n.onnx", ["--input-name", "x", "--output-name", "x"], "need two names"),
        ("onnx", "n.onnx", ["--input-name", ""], "need two names"),
        ("torch-export", "n.pt2", ["--opset", "17"], "--format onnx for an operator set"),
        ("torch-export", "n.pt2", ["--input-name", "x"], "--format onnx for a name of an input"),
        (
            "safetensors",
            "n.safetensors",
            ["--batch-size", "1"],
            "no computation, so no batch size",
        ),
    ],
)
def test_graph_settings_that_cannot_be(
    rescli: Rescli, net8: Path, tmp_path: Path, format: str, name: str, flags: list[str], says: str
) -> None:
    answer = rescli("export", net8, "--format", format, "--out", tmp_path / name, *flags)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert os.listdir(tmp_path) == []


def test_the_program_beside_overwrites_nothing(rescli: Rescli, net8: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("precious = True")
    answer = rescli("export", net8, "--format", "onnx", "--out", tmp_path / "net.onnx")
    assert answer.code == 2
    assert "net.py exists and is not overwritten" in answer.err
    assert f"--out {tmp_path / 'net' / 'net.onnx'}" in answer.err
    assert os.listdir(tmp_path) == ["net.py"]
    assert (tmp_path / "net.py").read_text() == "precious = True"
