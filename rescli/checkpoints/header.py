"""What a checkpoint says of itself, and whether it is what was written; neither needs torch."""

from __future__ import annotations

import hashlib
import json
import math
import mmap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rescli.errors import CheckpointError
from rescli.files import read_json
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.spec.warm_start import WarmStart

__all__ = [
    "CONTENT_KEY",
    "MODEL_KEY",
    "CheckpointHeader",
    "StoredTensor",
    "check_content",
    "content_digest",
    "content_sha256",
    "parse_header",
    "read_metadata",
    "warm_start_from",
]

CONTENT_KEY = "content_sha256"
"""Key of the metadata: what ``content_sha256`` gives, as JSON. Files of other programs, and of an earlier
rescli, have none."""

MODEL_KEY = "model"
"""Key of the metadata: where it is missing, the file is none of ours."""

_MAX_HEADER = 100_000_000
"""As the safetensors library has it: a longer one is taken for damage."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of the file; ``dtype`` as safetensors names it, ``F32``."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class CheckpointHeader:
    """All that a checkpoint says without its numbers.

    Args:
        metadata: each value decoded from its JSON.
        tensors: names, types and shapes.
        file_bytes: size of the file.
        sha256: of the whole file.
    """

    metadata: Mapping[str, Any]
    tensors: tuple[StoredTensor, ...]
    file_bytes: int
    sha256: str

    @classmethod
    def read(cls, path: Path) -> CheckpointHeader:
        """Read it, and hold the file against the hash of its content.

        Raises:
            CheckpointError: missing, truncated, not safetensors, without rescli's metadata, or of another
                content than was written.
        """
        try:
            with open(path, "rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if not 2 <= length <= _MAX_HEADER:
                    raise ValueError("it does not begin as one")
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    begin, header = parse_header(data)
                    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
                    ends = [begin + int(entry["data_offsets"][1]) for entry in entries.values()]
                    size, end = len(data), max(ends, default=begin)
                    if size != end:
                        raise ValueError(f"it has {size} bytes and should have {end}")
                    with memoryview(data) as whole, whole[begin:] as stored:
                        sha256 = hashlib.sha256(whole).hexdigest()
                        check_content(path, header, stored)
            texts = header.get("__metadata__") or {}
            tensors = [
                StoredTensor(name, str(entry["dtype"]), tuple(int(side) for side in entry["shape"]))
                for name, entry in entries.items()
            ]
        except FileNotFoundError as error:
            raise CheckpointError(
                f"no such checkpoint: {path}", hint="a run keeps them in RUN_DIR/checkpoints/"
            ) from error
        except IsADirectoryError as error:
            raise CheckpointError(f"{path} is a folder, not a checkpoint.") from error
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            IndexError,
            RecursionError,
        ) as error:
            raise CheckpointError(f"{path} is not a whole safetensors file: {error}.") from error
        if MODEL_KEY not in texts:
            raise CheckpointError(
                f"{path} holds {counted(len(tensors), 'tensor')} but no rescli model.",
                remedy=_exported(path) or Remedy("import_this", path, "makes a checkpoint of its weights"),
            )
        try:
            metadata = {key: json.loads(text) for key, text in texts.items() if key != "format"}
        except (TypeError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{path}: its metadata is damaged: {error}.") from error
        return cls(metadata, tuple(tensors), size, sha256)


def _exported(path: Path) -> Remedy | None:
    """What makes a checkpoint of weights that rescli exported; None where no config.json says that it did."""
    try:
        found = read_json(path.with_name("config.json"))
        description = found.get("rescli", found)
        known = {"model": str(description["model"]), "dataset": str(description["dataset"])}
        if "model_spec" not in description:
            return None
    except (CheckpointError, KeyError, TypeError, AttributeError):
        return None
    return Remedy("import_exported", path, "makes a checkpoint of what was exported", also=known)


def parse_header(data: bytes | mmap.mmap) -> tuple[int, dict[str, Any]]:
    """Where the tensors begin, and the JSON before them: the format is length, JSON, tensors."""
    end = 8 + int.from_bytes(data[:8], "little")
    return end, json.loads(data[8:end])


def content_sha256(header: Mapping[str, Any], tensors: memoryview) -> str:
    """sha256 of all that a safetensors file says, however its writer laid it out.

    It runs over the JSON ``[metadata, [[name, dtype, shape], ...]]``, ASCII without spaces, sorted by key and
    by name, without ``content_sha256`` itself; then over each tensor's bytes as stored, in the same order.

    Args:
        header: what ``parse_header`` gives.
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


def check_content(path: Path, header: Mapping[str, Any], tensors: memoryview) -> None:
    """Hold a file against the hash in its metadata, if it has one.

    Raises:
        CheckpointError: its content is not what was written.
    """
    written = (header.get("__metadata__") or {}).get(CONTENT_KEY)
    if written is not None and written != json.dumps(content_sha256(header, tensors)):
        raise CheckpointError(
            f"{path} is damaged: its content is not what was written (its {CONTENT_KEY} does not hold).",
            hint="copy it again from where it came, or take another checkpoint of the run",
        )


def read_metadata(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself, without a look at its numbers; empty where it cannot be read."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            texts = json.loads(file.read(length if length <= _MAX_HEADER else 0)).get("__metadata__") or {}
        return {key: json.loads(text) for key, text in texts.items() if key != "format"}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def warm_start_from(path: Path) -> WarmStart:
    """What a spec holds of a checkpoint whose weights a run begins with.

    Raises:
        CheckpointError: no such checkpoint, or a damaged one.
    """
    header = CheckpointHeader.read(path)
    return WarmStart(
        str(path.absolute()),
        header.sha256,
        model=dict(header.metadata[MODEL_KEY]),
        dataset=dict(header.metadata.get("dataset") or {}),
    )
