"""A safetensors file as the parts that are written one after another, without a copy of the tensors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save

from rescli.stored.tensor_file import CONTENT_KEY, content_digest, parse_header

__all__ = ["serialise"]


def serialise(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> list[bytes | memoryview]:
    """The parts of a safetensors file with ``content_sha256``: the header, then the bytes of each tensor.

    Equal content gives equal bytes, so that a hash names a checkpoint.

    Args:
        tensors: on the CPU. Their bytes are looked at in place, so they must not change until all is written.
        metadata: texts.
    """
    # The library decides on the order and the names of types, shown tensors of no size; its writer would hold
    # two more copies of all. It gives the metadata in an order that differs from process to process.
    shown = {name: torch.empty(0, dtype=tensor.dtype) for name, tensor in tensors.items()}
    _, header = parse_header(save(shown, dict(metadata)))
    texts: dict[str, str] = header.pop("__metadata__", {})
    entries: dict[str, dict[str, Any]] = {}
    stored: dict[str, memoryview] = {}
    begin = 0
    for name, entry in header.items():
        stored[name] = _bytes_of(tensors[name])
        end = begin + stored[name].nbytes
        entries[name] = {**entry, "shape": list(tensors[name].shape), "data_offsets": [begin, end]}
        begin = end
    digest = content_digest({"__metadata__": texts, **entries}, (stored[name] for name in sorted(stored)))
    texts = {**texts, CONTENT_KEY: json.dumps(digest)}
    whole = {"__metadata__": dict(sorted(texts.items())), **entries}
    text = json.dumps(whole, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little") + text, *stored.values()]


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """In the order of its elements, and of the machine, which is little-endian wherever PyTorch is built."""
    if math.prod(tensor.shape) == 0:
        return memoryview(b"")
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
