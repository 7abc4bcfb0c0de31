"""What a checkpoint says of itself, and whether it is what was written; neither needs torch."""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rescli.checkpoints.metadata import OTHER_COPY, CheckpointMetadata, described_beside, metadata_of
from rescli.errors import CheckpointError
from rescli.files import without_waiting
from rescli.foreign_text import readable
from rescli.plurals import counted
from rescli.remedy import Remedy
from rescli.spec.base import ModelSpec, plugged
from rescli.spec.warm_start import WarmStart
from rescli.stored.tensor_file import CONTENT_KEY, content_holds, read_header_texts, whole_header

__all__ = [
    "MODEL_KEY",
    "CheckpointHeader",
    "StoredTensor",
    "check_content",
    "read_metadata",
    "warm_start_from",
]

MODEL_KEY = "model"
"""Key of the metadata: where it is missing, the file is none of ours."""


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
        metadata: each value decoded from its JSON, of the type that it should have.
        tensors: names, types and shapes.
        file_bytes: size of the file.
        sha256: of the whole file.
    """

    metadata: CheckpointMetadata
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
            with open(path, "rb", opener=without_waiting) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise ValueError("it is a pipe or a device")
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    size = len(data)
                    begin, header = whole_header(data)
                    with memoryview(data) as whole, whole[begin:] as stored:
                        sha256 = hashlib.sha256(whole).hexdigest()
                        check_content(path, header, stored)
            texts = header.pop("__metadata__", None) or {}
            tensors = tuple(
                StoredTensor(name, entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()
            )
        except FileNotFoundError as error:
            raise CheckpointError(
                f"no such checkpoint: {path}", hint="a run keeps them in RUN_DIR/checkpoints/"
            ) from error
        except IsADirectoryError as error:
            raise CheckpointError(f"{path} is a folder, not a checkpoint.") from error
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{path} is not a whole safetensors file: {error}.", hint=OTHER_COPY
            ) from error
        if MODEL_KEY not in texts:
            raise CheckpointError(
                f"{path} holds {counted(len(tensors), 'tensor')} but no rescli model.",
                remedy=_exported(path) or Remedy("import_this", path, "makes a checkpoint of its weights"),
            )
        return cls(metadata_of(path, texts), tensors, size, sha256)


def _exported(path: Path) -> Remedy | None:
    """What makes a checkpoint of weights that rescli exported; None where no config.json says that it did."""
    try:
        description = described_beside(path)
    except CheckpointError:  # said where it is imported
        return None
    if description is None:
        return None
    known = {"model": description["model"], "dataset": description["dataset"]}
    return Remedy("import_exported", path, "makes a checkpoint of what was exported", also=known)


def check_content(path: Path, header: Mapping[str, Any], tensors: memoryview) -> None:
    """Hold a file against the hash in its metadata, if it has one.

    Raises:
        CheckpointError: its content is not what was written.
    """
    if content_holds(header, tensors) is False:
        raise CheckpointError(
            f"{path} is damaged: its content is not what was written (its {CONTENT_KEY} does not hold).",
            hint=OTHER_COPY,
        )


def read_metadata(path: Path) -> CheckpointMetadata | None:
    """What a checkpoint says of itself, without a look at its numbers; None where it cannot be read."""
    try:
        found = read_header_texts(path)
        return None if found is None else metadata_of(path, found[0])
    except (OSError, CheckpointError):
        return None


def warm_start_from(path: Path) -> WarmStart:
    """What a spec holds of a checkpoint whose weights a run begins with.

    Raises:
        CheckpointError: no such checkpoint, or a damaged one.
    """
    header = CheckpointHeader.read(path)
    # The net becomes a part of the spec, where an error would name a key that nobody typed.
    try:
        TypeAdapter(plugged(ModelSpec)).validate_python(header.metadata["model"])
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: its metadata is damaged: model: {readable(reason)}") from error
    return WarmStart(
        str(path.absolute()),
        header.sha256,
        model=dict(header.metadata["model"]),
        dataset=dict(header.metadata.get("dataset") or {}),
    )
