"""The head of a safetensors file, without torch."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from rescli.checkpoints.serialise import serialise
from rescli.stored.tensor_file import content_holds, whole_header


def file_of(header: object, tensors: bytes = b"", pad: int = 0) -> bytes:
    text = json.dumps(header).encode() + b" " * pad
    return len(text).to_bytes(8, "little") + text + tensors


def tensor(begin: int, end: int, *shape: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"a": tensor(0, 8, 3)}, "tensor a has 8 bytes, which is not what its shape takes"),
        ({"a": tensor(0, 8, 2, dtype="F16")}, "not what its shape takes"),
        ({"a": tensor(0, 8, 2), "b": tensor(4, 12, 2)}, "tensor b overlaps another"),
        ({"a": tensor(0, 4, 1), "b": tensor(8, 12, 1)}, "tensor b has a gap before it"),
        ({"a": tensor(4, 12, 2)}, "tensor a has a gap before it"),
        ({"a": tensor(0, 8, 2)}, "12 bytes of tensors and should have 8"),
        ({"a": tensor(0, 16, 4)}, "12 bytes of tensors and should have 16"),
        ({"a": tensor(0, 12, 10**18, 10**18)}, "not what its shape takes"),
        ({"a": tensor(0, 12, *[2**60] * 90_000)}, "no list of whole numbers"),
        ({"a": tensor(0, 12, -3)}, "no list of whole numbers"),
        ({"a": tensor(0, 12, True, 3)}, "no list of whole numbers"),
        ({"a": tensor(0, 12, 3, dtype="F99")}, "has the type .F99.; known: BOOL, "),
        ({"a": {"dtype": ["F32"], "shape": [3], "data_offsets": [0, 12]}}, "no type, shape and place"),
        ({"a": {"dtype": "F32", "shape": [3]}}, "no type, shape and place"),
        ({"a": 3}, "no type, shape and place"),
        ({"a": tensor(0, 12, 3), "__metadata__": {"x": 3}}, "a value of its metadata is no text"),
        ({"a": tensor(0, 12, 3), "__metadata__": []}, ""),
        ([], "its head is no JSON object"),
    ],
)
def test_what_disagrees_is_refused(header: object, says: str) -> None:
    data = file_of(header, bytes(12))
    if not says:
        assert whole_header(data)[0] == len(data) - 12
        return
    began = time.perf_counter()
    with pytest.raises(ValueError, match=says):
        whole_header(data)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "does not begin as a safetensors file"),
        (bytes(8), "does not begin as a safetensors file"),
        ((2**63).to_bytes(8, "little") + b"{}", "does not begin as a safetensors file, or is cut"),
        (file_of({}, pad=33_000_000), "its head has 33,000,002 bytes"),
        (file_of({str(n): tensor(0, 0, 0) for n in range(50_001)}), "more than 50,000 tensors"),
        (file_of({"__metadata__": {str(n): "" for n in range(10_001)}}), "10,001 texts"),
        (file_of({"__metadata__": {str(n): "" for n in range(10**6)}}), "300,000 keys"),
        (file_of(json.loads("[" * 500 + "]" * 500)), "no JSON object"),
        (file_of({"a": json.loads("[" * 500 + "]" * 500)}), "no type, shape and place"),
        (b"\xa0\x86\x01" + bytes(5) + b"[" * 100_000, "nested too deep"),
        (file_of({"\ud800": tensor(0, 0, 0)}), "an unpaired surrogate"),
        (file_of({"\udce9": tensor(0, 0, 0)}), "no UTF-8"),
        (file_of({"__metadata__": {"x": "\udce9"}}), "no UTF-8"),
    ],
)
def test_a_head_that_no_net_has_is_refused_at_once(data: bytes, says: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ValueError, match=says):
        whole_header(data)
    assert time.perf_counter() - began < 5


def test_each_type_of_torch_has_the_size_that_the_library_gives_it() -> None:
    kinds = {str(kind): kind for kind in vars(torch).values() if isinstance(kind, torch.dtype)}
    tried = 0
    for kind in kinds.values():
        try:
            data = save({"a": torch.zeros(4, dtype=torch.uint8).to(kind), "b": torch.zeros(0).to(kind)})
            shape = load(data)["a"].shape
        except (KeyError, RuntimeError, NotImplementedError, ValueError, UserWarning):
            continue  # torch has more types than the library, and some on paper alone
        _, header = whole_header(data)
        assert shape == tuple(header["a"]["shape"])
        tried += 1
    assert tried >= 12


def test_a_hash_holds_until_a_bit_is_flipped_anywhere() -> None:
    whole = b"".join(serialise({"a": torch.arange(4.0)}, {"note": '"x"'}))
    assert load(whole)["a"].tolist() == [0, 1, 2, 3]
    for place in range(len(whole)):
        for bit in (0, 3, 7):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            try:
                begin, header = whole_header(bytes(data))
            except ValueError:
                continue
            # White space between the JSON and the tensors says nothing.
            same = json.loads(whole[8:begin]) == header and data[begin:] == whole[begin:]
            assert content_holds(header, memoryview(bytes(data))[begin:]) is same
