"""The parts of a safetensors file, held against the library's own writer."""

from __future__ import annotations

import json
import tracemalloc

import pytest
import torch
from safetensors.torch import load, save

from rescli.checkpoints.serialise import serialise
from rescli.stored.tensor_file import parse_header

TENSORS = {
    "b.half": torch.arange(6).half().reshape(2, 3),
    "a.float": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4).transpose(0, 2),
    "count": torch.tensor(7),
    "none": torch.empty(0, 3),
    "bits": torch.tensor([True, False, True]),
    "brain": torch.tensor([1.5, -2], dtype=torch.bfloat16),
    "double": torch.tensor([[0.1]], dtype=torch.float64),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "last": torch.randn(3, 2, 2, 2).contiguous(memory_format=torch.channels_last),
}


def test_it_is_what_the_library_writes_beside_the_hash() -> None:
    whole = b"".join(serialise(TENSORS, {"format": "pt", "model": "{}"}))
    end, header = parse_header(whole)
    dense = {name: tensor.contiguous() for name, tensor in TENSORS.items()}
    theirs_end, theirs = parse_header(theirs_whole := save(dense, {"format": "pt", "model": "{}"}))
    assert json.loads(header["__metadata__"].pop("content_sha256"))
    assert (header, [*header][1:]) == (theirs, [name for name in theirs if name != "__metadata__"])
    assert whole[end:] == theirs_whole[theirs_end:]
    assert end % 8 == 0
    for name, tensor in load(whole).items():
        assert tensor.equal(TENSORS[name]), name


@pytest.mark.parametrize("metadata", [{}, {"z": "1", "a": "2"}])
def test_it_is_equal_for_equal_content(metadata: dict[str, str]) -> None:
    turned = dict(reversed(TENSORS.items()))
    assert b"".join(serialise(TENSORS, metadata)) == b"".join(serialise(turned, metadata))


def test_the_tensors_are_not_copied() -> None:
    large = {f"layer{number}": torch.zeros(250_000) for number in range(4)}
    tracemalloc.start()
    parts = serialise(large, {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(map(len, parts)) > 4_000_000
    assert peak < 500_000
