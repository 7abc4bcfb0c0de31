"""Every file that is not what it should be: refused in one line, with nothing in it executed."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import sys
from collections import OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rescli.errors import CheckpointError, RescliError, UnknownNameError, UsageError
from rescli.importers.reading.weights_file import listed, read_weights
from rescli.importers.torchvision import TorchvisionImporter

STATE = OrderedDict(a=torch.arange(6.0).view(2, 3), b=torch.tensor(7))


class Payload:
    def __reduce__(self) -> Any:
        return os.system, ("touch pwned",)


def same(tensors: dict[str, torch.Tensor]) -> bool:
    return tensors.keys() == STATE.keys() and all(tensors[name].equal(STATE[name]) for name in STATE)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th", ".pyth", ".PTH"])
@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
def test_state_dicts_of_torch(tmp_path: Path, suffix: str, as_zip: bool) -> None:
    path = tmp_path / f"net{suffix}"
    torch.save(STATE, path, _use_new_zipfile_serialization=as_zip)
    read = read_weights(path)
    assert same(read.tensors)
    assert (read.file, read.sha256) == (path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def test_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "net.safetensors")
    assert same(read_weights(tmp_path / "net.safetensors").tensors)


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": STATE, "epoch": 3, "best_acc1": torch.tensor(91.5), "optimizer": {"state": {}}},
        {"model": STATE},
        {"net": STATE, "acc": 91.5},
        {
            "model_state": STATE,
            "ema_state": {"a": torch.zeros(1)},
            "test_err": 6.3,
            "cfg": "BN:\n  EPS: 1e-05\n",
        },
        {"model": {"state_dict": STATE}},
        {f"module.{name}": tensor for name, tensor in STATE.items()},
        {f"_orig_mod.module.{name}": tensor for name, tensor in STATE.items()},
        {"state_dict": {f"module._orig_mod.{name}": nn.Parameter(t, False) for name, t in STATE.items()}},
    ],
)
def test_wrappers_and_prefixes_come_off(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "net.pth")
    assert same(read_weights(tmp_path / "net.pth").tensors)


def test_a_prefix_that_only_some_names_have_stays(tmp_path: Path) -> None:
    torch.save({"module.a": STATE["a"], "a": STATE["a"]}, tmp_path / "net.pth")
    assert set(read_weights(tmp_path / "net.pth").tensors) == {"module.a", "a"}


class Options:
    """A class of the program that trained; only its name is in the file."""

    def __init__(self) -> None:
        self.lr = 0.1


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
def test_objects_beside_the_weights_do_not_stand_in_the_way(tmp_path: Path, as_zip: bool) -> None:
    """Nor is any of their code run: the stand-ins are made without it."""
    beside = {
        "args": argparse.Namespace(lr=0.1, out=Path("runs")),
        "own": Options(),
        "when": datetime.datetime(2020, 1, 1),
        "best": np.float64(91.5),
        "history": defaultdict(list, {"loss": [0.5]}),
        "last": deque([1, 2]),
        "some": range(3),
    }
    torch.save({"model": STATE, **beside}, tmp_path / "net", _use_new_zipfile_serialization=as_zip)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Options, "__new__", lambda *_: pytest.fail("its code was run"))
        assert same(read_weights(tmp_path / "net").tensors)


def test_arrays_of_numpy_are_tensors(tmp_path: Path) -> None:
    torch.save({name: tensor.numpy() for name, tensor in STATE.items()}, tmp_path / "net.pth")
    assert same(read_weights(tmp_path / "net.pth").tensors)


def test_several_sets_in_no_known_layout_are_for_the_user_to_choose(tmp_path: Path) -> None:
    torch.save({"model": STATE, "best": dict(STATE)}, tmp_path / "net.pth")
    with pytest.raises(UsageError, match="several sets of weights: model, best") as caught:
        read_weights(tmp_path / "net.pth")
    assert [(one.setting, one.value) for one in caught.value.remedies] == [("which", "model")]
    assert same(read_weights(tmp_path / "net.pth", which="best").tensors)
    with pytest.raises(UnknownNameError, match=r"unknown set of weights .*'bst'; known: best, model.*'best'"):
        read_weights(tmp_path / "net.pth", which="bst")


def test_what_is_no_tensor_among_tensors_is_left_out_and_said(tmp_path: Path) -> None:
    torch.save({**STATE, "epoch": 3}, tmp_path / "net.pth")
    read = read_weights(tmp_path / "net.pth", {"torchvision": TorchvisionImporter()})
    assert same(read.tensors)
    assert read.left_out == ("epoch (int)",)


EVIL = "\x1b]0;evil\x07"


class Evil:
    """Whose name is a command to terminals."""


Evil.__qualname__ = Evil.__name__ = EVIL


@pytest.mark.parametrize(
    "content",
    [
        {EVIL: 1},
        {EVIL: {EVIL: 1}},
        {EVIL: STATE, f"{EVIL}2": dict(STATE)},
        {**STATE, "sparse": STATE["a"].to_sparse(), EVIL: STATE["a"].to_sparse()},
        {"args": Evil()},
    ],
    ids=["a key", "keys", "sets", "odd tensors", "a class"],
)
@pytest.mark.filterwarnings("ignore:.*(Sparse|sparse).*")
def test_names_in_a_file_are_no_commands_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any
) -> None:
    monkeypatch.setattr(sys.modules[__name__], EVIL, Evil, raising=False)
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(RescliError) as caught:
        read_weights(tmp_path / "net.pth")
    assert "\\x1b]0;evil" in str(caught.value)
    said = [str(caught.value), str(caught.value.hint), *(str(one.value) for one in caught.value.remedies)]
    assert all(text.isprintable() for text in said)


def test_a_set_is_taken_by_the_name_that_was_shown(tmp_path: Path) -> None:
    torch.save({EVIL: STATE, "other": {**STATE, "c": STATE["a"]}}, tmp_path / "net.pth")
    with pytest.raises(UsageError) as caught:
        read_weights(tmp_path / "net.pth")
    (remedy,) = caught.value.remedies
    assert same(read_weights(tmp_path / "net.pth", which=str(remedy.value)).tensors)


def test_dicts_that_contain_themselves_many_times(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content.update({f"k{number}": content for number in range(300)}, t=STATE["a"])
    content["in lists"] = [content, [content], {"inner": content}]
    torch.save(content, tmp_path / "net.pth")
    assert read_weights(tmp_path / "net.pth").tensors["t"].equal(STATE["a"])


def circle() -> dict[str, Any]:
    content: dict[str, Any] = {}
    content["model"] = content
    return content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (Payload(), "asks for posix.system"),
        ({"state_dict": STATE, "extra": Payload()}, "asks for posix.system"),
        (nn.Linear(2, 2), "asks for torch.nn.modules.linear.Linear"),
        ({}, "holds no tensors: an empty dict"),
        ({"epoch": 3, "lr": 0.1}, r"holds no tensors: only epoch \(int\), lr \(float\)"),
        ([STATE["a"]], "holds a list, not a state dict"),
        ({"args": argparse.Namespace(lr=0.1)}, "asks for argparse.Namespace"),
        (STATE["a"], "holds a Tensor, not a state dict"),
        ({**STATE, "epoch": 3, 5: STATE["a"]}, r"1 that nobody can take: 5 \(Tensor\)"),
        ({"a": STATE["a"].to_sparse()}, "holds no tensors"),
        ({"a": torch.empty(3, device="meta")}, "holds no tensors"),
        (circle(), "holds no tensors: only model"),
    ],
)
@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.filterwarnings("ignore:.*(Sparse|sparse).*")
def test_contents_that_are_no_state_dict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, says: str, as_zip: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, "net.pth", _use_new_zipfile_serialization=as_zip)
    with pytest.raises(CheckpointError, match=says) as caught:
        read_weights(Path("net.pth"))
    assert not Path("pwned").exists()
    assert "torch.save(" in str(caught.value.hint)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (json.dumps({"a": [1, 2]}).encode(), "looks like JSON"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "a pointer of Git LFS"),
        (bytes(range(1, 200)), "neither a safetensors file nor one of PyTorch"),
        (b"PK\x03\x04" + bytes(100), "a zip archive that is truncated"),
        (b"\x80\x02}q\x01(U", "a pickle that is truncated"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_of_another_kind(tmp_path: Path, content: bytes, says: str, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=says) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.999])
def test_truncated_anywhere(tmp_path: Path, kind: str, kept: float) -> None:
    path = tmp_path / ("net.safetensors" if kind == "safetensors" else "net.pth")
    state = {"a": torch.randn(100, 100)}
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(CheckpointError, match="truncated, damaged"):
        read_weights(path)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_not_loaded(tmp_path: Path) -> None:
    torch.jit.trace(nn.ReLU(), torch.zeros(1)).save(tmp_path / "net.pt")  # type: ignore[no-untyped-call]
    with pytest.raises(CheckpointError, match="a TorchScript program"):
        read_weights(tmp_path / "net.pt")


def test_missing_and_directories(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        read_weights(tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="is a directory"):
        read_weights(tmp_path)


@pytest.mark.parametrize("name", ["model_best.pth.tar", "last.ckpt", "pytorch_model.bin", "weights", "a.jpg"])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_the_name_of_a_file_does_not_matter(tmp_path: Path, name: str, form: str) -> None:
    if form == "safetensors":
        save_file(STATE, tmp_path / name)
    else:
        torch.save(STATE, tmp_path / name, _use_new_zipfile_serialization=form == "zip")
    assert same(read_weights(tmp_path / name).tensors)


def test_listed_is_sorted_and_capped_with_a_count() -> None:
    assert listed(["b", "a"]) == "a, b"
    assert listed([f"n{k}" for k in range(9)], limit=2) == "n0, n1 and 7 more"
