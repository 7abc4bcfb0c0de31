"""What a checkpoint says of itself, read off its first bytes: no torch, and no tensor is read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rescli.errors import CheckpointError

__all__ = ["MODEL_KEY", "CheckpointHeader", "StoredTensor", "parse_header"]

MODEL_KEY = "model"
"""Of the metadata: where it is missing, the file is none of ours."""

_MAX_HEADER = 100_000_000
"""As the safetensors library has it: a longer one is taken for damage."""


@dataclass(frozen=True)
class StoredTensor:
    """dtype: as safetensors names it, ``F32``."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class CheckpointHeader:
    """metadata: each value decoded from its JSON. sha256: of the whole file."""

    metadata: Mapping[str, Any]
    tensors: tuple[StoredTensor, ...]
    file_bytes: int
    sha256: str

    @classmethod
    def read(cls, path: Path) -> CheckpointHeader:
        """Raises:
        CheckpointError: missing, truncated, not safetensors, or without rescli's metadata.
        """
        try:
            with open(path, "rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if not 2 <= length <= _MAX_HEADER:
                    raise ValueError("it does not begin as one")
                header = json.loads(file.read(length))
                file.seek(0)
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
            texts = header.pop("__metadata__", {})
            tensors = [
                StoredTensor(name, str(entry["dtype"]), tuple(int(side) for side in entry["shape"]))
                for name, entry in header.items()
            ]
            end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
            if size != 8 + length + end:
                raise ValueError(f"it has {size} bytes and should have {8 + length + end}")
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
                f"{path} holds {len(tensors)} tensors but no rescli model.", hint="rescli import makes it one"
            )
        try:
            metadata = {key: json.loads(text) for key, text in texts.items() if key != "format"}
        except (TypeError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{path}: its metadata is damaged: {error}.") from error
        return cls(metadata, tuple(tensors), size, sha256)


def parse_header(data: bytes) -> tuple[int, dict[str, Any]]:
    """Where the tensors begin, and the JSON before them: the format is length, JSON, tensors."""
    end = 8 + int.from_bytes(data[:8], "little")
    return end, json.loads(data[8:end])
