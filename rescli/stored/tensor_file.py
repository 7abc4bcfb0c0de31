"""The head of a safetensors file: parsed, held against the file's size and against its hash. No torch.

The format is a length of 8 bytes, so many bytes of JSON, and the tensors' bytes without a gap.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import re
from collections.abc import Iterable, Mapping
from operator import ne
from typing import Any

from rescli.files import open_file
from rescli.foreign_text import readable
from rescli.plurals import counted
from rescli.stored.json_values import parse_json

__all__ = [
    "CONTENT_KEY",
    "MOST_HEADER",
    "check_layout",
    "content_digest",
    "content_holds",
    "content_sha256",
    "parse_header",
    "read_header_texts",
    "whole_header",
]

CONTENT_KEY = "content_sha256"
"""Key of the metadata: what ``content_sha256`` gives, as JSON. Files of other programs, and of an earlier
rescli, have none."""

MOST_HEADER = 32_000_000
"""Bytes of JSON: thirty times what a net of 1202 layers and 20,000 classes has."""

_MOST_TENSORS, _MOST_TEXTS, _MOST_SIDES = 50_000, 10_000, 64
_MOST_KEYS = 4 * _MOST_TENSORS + 10 * _MOST_TEXTS
"""Keys of all objects together, those inside of texts too."""

_SHOWN = 40
"""Letters of a type that is not known."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
"""What may be an unpaired surrogate."""

_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}
"""Bits of one number of each type."""


def whole_header(data: bytes | mmap.mmap) -> tuple[int, dict[str, Any]]:
    """Where the tensors begin, and the JSON before them, once the file has what its head says.

    Args:
        data: the file.

    Returns:
        The place of the first tensor's first byte; ``__metadata__`` with texts, and by the name of each
        tensor its ``dtype``, ``shape`` and ``data_offsets``.

    Raises:
        ValueError: it is no whole safetensors file; says why.
    """
    begin, header = parse_header(data)
    check_layout(header, len(data) - begin)
    return begin, header


def parse_header(data: bytes | mmap.mmap) -> tuple[int, dict[str, Any]]:
    """As ``whole_header``, without a look at what the tensors are said to be.

    Raises:
        ValueError: it does not begin as a safetensors file.
    """
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= len(data) - 8:
        raise ValueError("it does not begin as a safetensors file, or is cut")
    if length > MOST_HEADER:
        raise ValueError(f"its head has {counted(length, 'byte')}; allowed: {MOST_HEADER:,}")
    header = _parsed(data[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("its head is no JSON object")
    return 8 + length, header


def _parsed(text: bytes) -> Any:
    """The JSON of a head, once its marks are no more than a net's: parsing takes a hundred times as long."""
    if text.count(b'"data_offsets"') > _MOST_TENSORS or text.count(b'":') > _MOST_KEYS:
        raise ValueError(f"it has more than {_MOST_TENSORS:,} tensors or {_MOST_KEYS:,} keys")
    value = parse_json(text, flat=True)
    if _SURROGATE.search(text):
        # No writer puts one there, and the library takes none; in the texts' own JSON it is escaped twice.
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError) as error:
            raise ValueError("it holds text that is no UTF-8") from error
    return value


def check_layout(header: Mapping[str, Any], size: int) -> None:
    """Hold types, shapes and places of all tensors against each other and against the bytes there are.

    Args:
        header: what was parsed.
        size: bytes behind it.

    Raises:
        ValueError: an entry is no tensor's; one has more or fewer bytes than its shape takes; two overlap;
            there is a gap between them, or behind the last; or there are more than any net has.
    """
    texts = header.get("__metadata__") or {}
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("a value of its metadata is no text")
    if len(texts) > _MOST_TEXTS or len(header) > _MOST_TENSORS:
        raise ValueError(
            f"it has {counted(len(header), 'tensor')} and {counted(len(texts), 'text')} beside them; "
            f"allowed: {_MOST_TENSORS:,} and {_MOST_TEXTS:,}"
        )
    places = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            (begin, end), shape, bits = entry["data_offsets"], entry["shape"], _BITS.get(entry["dtype"])
            whole = [type(number) is int and number >= 0 for number in (begin, end, *shape)]
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError(f"tensor {readable(name)} has no type, shape and place") from error
        if bits is None:
            dtype = readable(str(entry["dtype"])[:_SHOWN])
            raise ValueError(f"tensor {readable(name)} has the type {dtype!r}; known: {', '.join(_BITS)}")
        if not all(whole) or type(shape) is not list or len(shape) > _MOST_SIDES:
            raise ValueError(
                f"tensor {readable(name)} has a shape or a place that is no list of whole numbers"
            )
        if math.prod(shape) * bits != (end - begin) * 8:
            raise ValueError(
                f"tensor {readable(name)} has {counted(end - begin, 'byte')}, which is not what its shape "
                "takes"
            )
        places.append((begin, end, name))
    places.sort()
    before = 0
    for begin, end, name in places:
        if begin != before:
            raise ValueError(
                f"tensor {readable(name)} {'overlaps another' if begin < before else 'has a gap before it'}"
            )
        before = end
    if size != before:
        raise ValueError(f"it has {counted(size, 'byte')} of tensors and should have {before}")


def content_sha256(header: Mapping[str, Any], tensors: memoryview) -> str:
    """sha256 of all that a safetensors file says, however its writer laid it out.

    It runs over the JSON ``[metadata, [[name, dtype, shape], ...]]``, ASCII without spaces, sorted by key and
    by name, without ``content_sha256`` itself; then over each tensor's bytes as stored, in the same order.

    Args:
        header: what ``whole_header`` gives.
        tensors: the bytes behind it.
    """
    places = [header[name]["data_offsets"] for name in sorted(header) if name != "__metadata__"]
    return content_digest(header, (tensors[begin:end] for begin, end in places))


def content_digest(header: Mapping[str, Any], stored: Iterable[memoryview]) -> str:
    """``content_sha256`` of a header and the bytes of each tensor, in the order of their names."""
    metadata = {key: text for key, text in (header.get("__metadata__") or {}).items() if key != CONTENT_KEY}
    names = [name for name in sorted(header) if name != "__metadata__"]
    listed = [[name, header[name]["dtype"], header[name]["shape"]] for name in names]
    text = json.dumps([metadata, listed], separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for part in stored:
        digest.update(part)
    return digest.hexdigest()


def content_holds(header: Mapping[str, Any], tensors: memoryview) -> bool | None:
    """Whether a file has the content that its hash was made of; None where it has no hash.

    A key that is the hash's but for one letter is damage too: without it nothing would be looked at.
    """
    texts = header.get("__metadata__") or {}
    if CONTENT_KEY in texts:
        return bool(texts[CONTENT_KEY] == json.dumps(content_sha256(header, tensors)))
    return False if any(map(_is_nearly_the_key, texts)) else None


def _is_nearly_the_key(key: str) -> bool:
    return len(key) == len(CONTENT_KEY) and sum(map(ne, key, CONTENT_KEY)) == 1


def read_header_texts(path: str | os.PathLike[str]) -> tuple[dict[str, str], int] | None:
    """The metadata and the number of tensors of a file, without a look at the rest; None of what is no such.

    Raises:
        OSError: it cannot be read.
    """
    with open_file(path) as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length) if length <= MOST_HEADER else b""
    try:
        header = _parsed(text)
        texts = header.pop("__metadata__", None) or {}
        return ({key: value for key, value in texts.items() if isinstance(value, str)}, len(header))
    except (ValueError, TypeError, AttributeError):
        return None
