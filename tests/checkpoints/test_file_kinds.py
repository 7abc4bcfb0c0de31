"""What a file is, whatever its name."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rescli.checkpoints.file_kinds import kind_of_file

STATE = {"a": torch.arange(6.0)}


def test_weights_in_each_form(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.bin")
    torch.save(STATE, tmp_path / "b.safetensors")
    torch.save(STATE, tmp_path / "c", _use_new_zipfile_serialization=False)
    torch.save(STATE, tmp_path / "d", _use_new_zipfile_serialization=False, pickle_protocol=4)
    forms = [kind_of_file(tmp_path / name).form for name in ("a.bin", "b.safetensors", "c", "d")]
    assert forms == ["safetensors", "torch", "torch", "torch"]


@pytest.mark.parametrize(
    ("content", "what", "advice"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(50), "a JPEG image", ""),
        (b"\x89PNG\r\n\x1a\n", "a PNG image", ""),
        (b"%PDF-1.7", "a PDF document", ""),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes its weights", "PyTorch"),
        (b"\x1f\x8b\x08\x00", "a gzip archive", "unpack it"),
        (bytes(257) + b"ustar\x0000", "a tar archive", "unpack it"),
        (b"\x08\x0a\x12\x07pytorch", "an ONNX model", "exported from"),
        (b"", "empty", "fetch or copy the file again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS", "git lfs pull"),
        (b"\n<!DOCTYPE html>", "a web page", "fetch the file again"),
        (b"epoch 1: 93.1 %\n", "a text file", ""),
        ("Größe é".encode() * 100, "a text file", ""),
        (b'{"a": 1}', "looks like JSON", ""),
        (
            json.dumps({"metadata": {}, "weight_map": {"a": "m-1.safetensors"}}).encode(),
            "the index of",
            "join",
        ),
        (b"PK\x03\x04" + bytes(100), "a zip archive that is truncated, damaged", "fetch or copy"),
        (b"\x80\x04\x95\x10\x00", "a pickle that is truncated, damaged, or not PyTorch's", "torch.save"),
        (bytes(range(1, 200)), "neither a safetensors file nor one of PyTorch", "fetch or copy"),
    ],
)
def test_other_kinds(tmp_path: Path, content: bytes, what: str, advice: str) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    kind = kind_of_file(tmp_path / "net.pth")
    assert kind.form == "other"
    assert what in kind.what
    assert advice in kind.advice
    assert bool(advice) == bool(kind.advice)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_zip_archives_by_what_is_in_them(tmp_path: Path) -> None:
    torch.jit.trace(nn.ReLU(), torch.zeros(1)).save(tmp_path / "script")  # type: ignore[no-untyped-call]
    torch.export.save(torch.export.export(nn.ReLU(), (torch.zeros(1),)), tmp_path / "program.pt2")
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a/1.jpg", b"x")
    for name, what in (
        ("script", "a TorchScript program"),
        ("program.pt2", "a program of torch.export"),
        ("arrays.npz", "an archive of NumPy arrays"),
        ("photos.zip", "a zip archive, but not PyTorch's"),
    ):
        kind = kind_of_file(tmp_path / name)
        assert kind.form == "other"
        assert what in kind.what
        assert kind.advice


def test_the_advice_about_an_archive_of_arrays_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("arrays.npz", a=np.ones(3, np.float32))
    code = kind_of_file("arrays.npz").advice.removeprefix("in Python: ")
    exec(code, {"torch": torch, "numpy": np})
    assert torch.load("weights.pth", weights_only=True)["a"].equal(torch.ones(3))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_the_advice_about_programs_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = nn.Linear(2, 2)
    torch.jit.trace(net, torch.zeros(1, 2)).save("net.pt")  # type: ignore[no-untyped-call]
    torch.export.save(torch.export.export(net, (torch.zeros(1, 2),)), "net.pt2")
    for name in ("net.pt", "net.pt2"):
        exec(kind_of_file(name).advice.partition(": ")[2], {"torch": torch})
        assert torch.load("weights.pth", weights_only=True)["weight"].equal(net.weight)


def test_of_a_long_text_the_beginning_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"x": "y" * 5000, "weight_map": {}}))
    assert "index" in kind_of_file(tmp_path / "a.json").what
    monkeypatch.setattr("rescli.checkpoints.file_kinds.MOST_HEADER", 4000)
    monkeypatch.setattr(Path, "read_bytes", lambda _path: pytest.fail("read whole"))
    assert "looks like JSON" in kind_of_file(tmp_path / "a.json").what
