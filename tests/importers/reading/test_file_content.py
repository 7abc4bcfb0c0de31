"""How a file of weights is read: once, and only as far as it is one file's weights."""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rescli.errors import CheckpointError
from rescli.importers.reading.file_content import read_content
from rescli.importers.reading.weights_file import read_weights

STATE = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7)}


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
def test_a_file_is_read_once_however_many_classes_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_zip: bool
) -> None:
    classes = [type(f"Option{number}", (), {"__module__": "argparse"}) for number in range(20)]
    for one in classes:
        monkeypatch.setattr(argparse, one.__name__, one, raising=False)
    content = {"model": STATE, "options": [one() for one in reversed(classes)]}
    torch.save(content, tmp_path / "net", _use_new_zipfile_serialization=as_zip)
    load, loads = torch.load, []
    monkeypatch.setattr(torch, "load", lambda *given, **named: loads.append(1) or load(*given, **named))
    found = read_content(tmp_path / "net")
    assert len(loads) == 1
    assert found.objects == tuple(f"argparse.Option{number}" for number in reversed(range(20)))
    assert read_weights(tmp_path / "net").tensors["a"].equal(STATE["a"])


STORED = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORED + b"K\x00"
REST = b"\x89ccollections\nOrderedDict\n)RtR"
GROWN = b"(" + STORED + b"K\x00M\xe8\x03\x85K\x01\x85tb"
"""Gives a tensor another shape, by its state."""

MADE_UP = {
    "a tensor of a size": b"ctorch\nTensor\nM\xe8\x03M\xe8\x03\x86R",
    "one of a type": b"ctorch\nFloatTensor\nM\xe8\x03\x85R",
    "a parameter of one": b"ctorch.nn.parameter\nParameter\nctorch\nTensor\nM\xe8\x03\x85R\x85R",
    "by a function": b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch\nTensor\nq\x01h\x01M\xe8\x03\x85}tR",
    "by a list": b"ctorch._tensor\n_rebuild_from_type_v2\n](ctorch\nTensor\nq\x01h\x01M\xe8\x03\x85}eR",
    "by a name that was kept": b"ctorch\nTensor\nq\x01h\x01M\xe8\x03\x85R\x86",
    "a new one": b"ctorch\nFloatTensor\nM\xe8\x03\x85\x81",
    "bytes of a number": b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R",
    "bytes of a number, by an old name": b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R",
    "a storage of a size": b"ctorch.storage\nTypedStorage\nM\xe8\x03\x85R",
}

UNTAKEN = {
    "more than is stored": REBUILD + b"M\xe8\x03\x85K\x01\x85" + REST,
    "one number for all": REBUILD + b"J\0\0\0\x40J\0\0\0\x40\x86K\0K\0\x86" + REST,
    "more by a state": (WHOLE := REBUILD + b"K\x02\x85K\x01\x85" + REST) + GROWN,
    "a parameter's more": b"ctorch._utils\n_rebuild_parameter\n("
    + WHOLE
    + b"\x89ccollections\nOrderedDict\n)RtR"
    + GROWN,
    "without values": b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n"
    b"(ctorch\nfloat32\nK\x02\x85K\x01\x85\x89tR",
    "a shell": b"ctorch._utils\n_rebuild_wrapper_subclass\n(ctorch.nn.parameter\nParameter\nctorch\nfloat32\n"
    b"K\x02\x85K\x01\x85K\x00ctorch.serialization\n_get_layout\nX\x0d\0\0\0torch.strided\x85R"
    b"ctorch\ndevice\nX\x03\0\0\0cpu\x85R\x89tR",
}


@pytest.fixture
def craft(tmp_path: Path) -> Callable[[bytes], Path]:
    """A file of torch.save in which the entry ``fc.weight`` is what a piece of a pickle makes."""
    torch.save({"a": torch.zeros(2)}, tmp_path / "template.pth")

    def make(piece: bytes) -> Path:
        path = tmp_path / "net.pth"
        with zipfile.ZipFile(tmp_path / "template.pth") as source, zipfile.ZipFile(path, "w") as made:
            for member in source.namelist():
                content = source.read(member)
                if member.endswith("data.pkl"):
                    content = b"\x80\x02}X\x09\0\0\0fc.weight" + piece + b"s."
                made.writestr(member, content)
        return path

    return make


@pytest.mark.parametrize("piece", MADE_UP.values(), ids=MADE_UP)
def test_numbers_that_the_file_does_not_hold_are_not_made(
    craft: Callable[[bytes], Path], piece: bytes
) -> None:
    with pytest.raises(CheckpointError, match="would be no part of the file") as caught:
        read_content(craft(piece))
    assert "save the tensors alone" in str(caught.value.hint)


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
def test_tensors_with_attributes_and_types_as_values_are_read(tmp_path: Path, as_zip: bool) -> None:
    """They name the class of tensors, and call it nowhere."""
    marked = {name: tensor.clone() for name, tensor in STATE.items()}
    for tensor in marked.values():
        tensor.note = "as some training programs put it"  # type: ignore[attr-defined]
    options = {"tensor_type": torch.FloatTensor, "kind": torch.Tensor, "bytes": bytearray(b"abc")}
    content = {"model": marked, "options": options}
    torch.save(content, tmp_path / "net", _use_new_zipfile_serialization=as_zip)
    assert read_weights(tmp_path / "net").tensors["a"].equal(STATE["a"])


@pytest.mark.parametrize("piece", UNTAKEN.values(), ids=UNTAKEN)
def test_tensors_without_numbers_of_their_own_are_not_weights(
    craft: Callable[[bytes], Path], piece: bytes
) -> None:
    with pytest.raises(CheckpointError, match=r"holds no tensors|truncated, damaged"):
        read_weights(craft(piece))


def test_tensors_in_parts_are_not_weights(tmp_path: Path) -> None:
    """A class by that name is enough: the parts of its tensors are elsewhere."""
    torch.save({"a": torch.zeros(2)}, tmp_path / "whole.pth")
    named = b"\x80\x02ctorch.distributed.tensor\nDTensor\n)\x81."
    with zipfile.ZipFile(tmp_path / "whole.pth") as whole, zipfile.ZipFile(tmp_path / "net", "w") as made:
        for member in whole.namelist():
            made.writestr(member, named if member.endswith("data.pkl") else whole.read(member))
    with pytest.raises(CheckpointError, match="in parts") as caught:
        read_weights(tmp_path / "net")
    assert "full_state_dict" in str(caught.value.hint)


def test_a_changed_number_in_an_archive_is_damage(tmp_path: Path) -> None:
    """torch compares no sums, and would take the number for another."""
    torch.save({"a": torch.full((500,), 3.0)}, tmp_path / "net.pth")
    content = bytearray((tmp_path / "net.pth").read_bytes())
    content[content.index(torch.full((9,), 3.0).numpy().tobytes()) + 402] ^= 64
    (tmp_path / "net.pth").write_bytes(content)
    assert not torch.load(tmp_path / "net.pth")["a"].eq(3).all()
    with pytest.raises(CheckpointError, match="truncated, damaged"):
        read_content(tmp_path / "net.pth")


def test_an_archive_without_sums_is_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(STATE, tmp_path / "net.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_weights(tmp_path / "net.pth").tensors["a"].equal(STATE["a"])


def test_one_of_the_files_over_which_weights_are_spread(tmp_path: Path) -> None:
    """Alone it would be a net without its head."""
    for number in (1, 2):
        torch.save(STATE, tmp_path / f"model-0000{number}-of-00002.bin")
    for path in (tmp_path, tmp_path / "model-00002-of-00002.bin"):
        with pytest.raises(CheckpointError, match="one of several files") as caught:
            read_content(path)
        assert "join them into one file" in str(caught.value.hint)
    torch.save(STATE, tmp_path / "model-00001-of-00001.bin")
    assert read_weights(tmp_path / "model-00001-of-00001.bin").tensors["a"].equal(STATE["a"])
