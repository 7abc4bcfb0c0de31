"""Arrays of NumPy in pickles: those that programs save, and those that somebody made up."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rescli.errors import CheckpointError
from rescli.importers.reading.file_content import read_content
from rescli.importers.reading.weights_file import read_weights


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def text(content: str) -> bytes:
    encoded = content.encode()
    return b"X" + len(encoded).to_bytes(4, "little") + encoded


def raw(content: bytes) -> bytes:
    """Bytes, as protocol 2 has them."""
    return name("_codecs", "encode") + text(content.decode("latin-1")) + text("latin1") + b"\x86R"


def kind(code: str) -> bytes:
    return name("numpy", "dtype") + text(code) + b"\x85R"


ARRAY = name("numpy", "ndarray")
EMPTY = name("numpy.core.multiarray", "_reconstruct") + ARRAY + b"K\x00\x85" + raw(b"b") + b"\x87R"
SCALAR = name("numpy.core.multiarray", "scalar")
POINTER = raw(b"A" * 8)


def filled(shape: bytes, of: bytes, content: bytes, *, version: bytes = b"K\x01") -> bytes:
    return EMPTY + b"(" + version + shape + of + b"\x89" + content + b"tb"


OBJECTS = ARRAY + b"(K\x01\x85" + kind("O") + POINTER + b"tR"
FIELDS = name("numpy", "dtype") + b"]((" + text("a") + text("O") + b"te\x85R"
FLAGGED = kind("f8") + b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb"

WITHOUT_NUMBERS = {
    "objects of a buffer": OBJECTS,
    "memory as it is": ARRAY + b"M\x00\x10\x85\x85R",
    "more memory than there is": ARRAY + b"\x8a\x06\0\0\0\0\0\x10\x85\x85R",
    "the pointer as a shape": ARRAY + OBJECTS + b"\x85R",
    "strides beyond the buffer": ARRAY + b"((K\x04K\x02t" + kind("f4") + POINTER + b"K\x00(M\x00\x10K\x04ttR",
    "objects of bytes": filled(b"K\x01\x85", kind("O"), POINTER),
    "fields of bytes": filled(b"K\x01\x85", FIELDS, POINTER),
    "a number that is an object": SCALAR + kind("O") + POINTER + b"\x86R",
    "a number with fields": SCALAR + FIELDS + POINTER + b"\x86R",
    "never filled": EMPTY,
}

DAMAGED = {
    "too few bytes": filled(b"K\x02\x85", kind("f8"), POINTER),
    "too many bytes": filled(b"K\x01\x85", kind("f4"), POINTER),
    "a negative size": filled(b"J\xff\xff\xff\xff\x85", kind("f8"), POINTER),
    "no whole size": filled(b"G" + b"\x3f\xf0" + b"\0" * 6 + b"\x85", kind("f8"), POINTER),
    "text for bytes": filled(b"K\x01\x85", kind("f8"), text("A" * 8)),
    "a type that is none": filled(b"K\x01\x85", text("f8"), POINTER),
    "no state": EMPTY + b"Nb",
    "flags of a type": FLAGGED,
    "a number of too few bytes": SCALAR + kind("f8") + raw(b"A") + b"\x86R",
    "no bytes for the largest shape": filled(
        b"K\x00" + b"\x8a\x06\0\0\0\0\0\x10" * 2 + b"\x87", kind("f8"), raw(b"")
    ),
}

Craft = Callable[[str, bytes], Path]


@pytest.fixture
def craft(tmp_path: Path) -> Craft:
    """A file of torch.save in which the entry ``fc.weight`` is what a piece of a pickle makes."""
    torch.save({"a": torch.zeros(2)}, tmp_path / "template.pth")

    def make(called: str, piece: bytes) -> Path:
        path = tmp_path / f"{called}.pth"
        with zipfile.ZipFile(tmp_path / "template.pth") as source, zipfile.ZipFile(path, "w") as made:
            for member in source.infolist():
                content = source.read(member.filename)
                if member.filename.endswith("data.pkl"):
                    content = b"\x80\x02}" + text("fc.weight") + piece + b"s."
                made.writestr(member, content)
        return path

    return make


def test_made_up_arrays_reach_no_memory(craft: Craft) -> None:
    """In a process of their own: made by NumPy, some of them end it."""
    code = """
import json, sys
from pathlib import Path
from rescli.errors import CheckpointError
from rescli.importers.reading.weights_file import read_weights
for path in sys.argv[1:]:
    try:
        said = repr(read_weights(Path(path)).tensors)
    except CheckpointError as error:
        said = str(error)
    print(json.dumps([Path(path).stem, said]), flush=True)
"""
    paths = [craft(called, piece) for called, piece in {**WITHOUT_NUMBERS, **DAMAGED}.items()]
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    said = dict(map(json.loads, ended.stdout.splitlines()))
    for called in WITHOUT_NUMBERS:
        assert "holds no tensors: only fc.weight (StoredArray)" in said[called], called
    for called in DAMAGED:
        assert "truncated, damaged" in said[called], called


@pytest.mark.parametrize("code", ["bool", "i1", "u1", "<i2", ">i2", "<i8", "<f2", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_plain_arrays_are_tensors_of_the_same_numbers(tmp_path: Path, code: str, order: Any) -> None:
    array = np.array((np.arange(6) % 2 if code == "bool" else np.arange(6)).reshape(2, 3), code, order=order)
    torch.save({"fc.weight": array}, tmp_path / "net.pth")
    (tensor,) = read_weights(tmp_path / "net.pth").tensors.values()
    native = array.astype(array.dtype.newbyteorder("="), order="C")
    assert tensor.equal(torch.from_numpy(native))
    assert tensor.dtype == torch.from_numpy(native).dtype


@pytest.mark.parametrize(
    "beside",
    [
        np.array(["ant", "bee"]),
        np.array([{}, None]),
        np.array("2020-01-01", "datetime64[D]"),
        np.zeros(0),
        np.zeros((2, 0), "f4"),
        np.str_("ant"),
        np.zeros(2, [("a", "f4")]),
        np.zeros(2, "c8"),
        b"",
    ],
    ids=repr,
)
@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
def test_other_arrays_beside_the_weights_do_not_stand_in_the_way(
    tmp_path: Path, beside: object, as_zip: bool
) -> None:
    state = {"fc.weight": torch.arange(6.0).view(2, 3)}
    torch.save({"model": state, "beside": [beside]}, tmp_path / "net", _use_new_zipfile_serialization=as_zip)
    (tensor,) = read_weights(tmp_path / "net").tensors.values()
    assert tensor.equal(state["fc.weight"])


def test_numbers_are_numbers(tmp_path: Path) -> None:
    torch.save({"best": np.float64(91.5), "at": np.int32(3), "done": np.bool_(True)}, tmp_path / "net.pth")
    assert read_content(tmp_path / "net.pth").value == {"best": 91.5, "at": 3, "done": True}


def test_booleans_are_zeros_and_ones(craft: Craft) -> None:
    (tensor,) = read_weights(
        craft("net", filled(b"K\x02\x85", kind("b1"), raw(b"\x00\x02")))
    ).tensors.values()
    assert tensor.view(torch.uint8).tolist() == [0, 1]


def test_what_is_damaged_is_said_in_one_line(craft: Craft) -> None:
    with pytest.raises(CheckpointError, match="truncated, damaged") as caught:
        read_content(craft("net", DAMAGED["too few bytes"]))
    assert "\n" not in str(caught.value)
