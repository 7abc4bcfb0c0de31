"""Logits on disk, so that an ensemble, another average or a closer look costs no second inference."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save

from rescli.errors import CheckpointError
from rescli.files import write_atomically

__all__ = ["CacheKey", "LogitsCache"]

_log = logging.getLogger(__name__)

FORMAT = 1
"""Raised when logits of the same key would come out differently: what was stored before is not found then."""

MAX_BYTES = 4 * 2**30
"""All entries together; ten views of ImageNet's 50,000 validation images are 2 GB."""


@dataclass(frozen=True)
class CacheKey:
    """What logits depend on. Two computations with one key may differ in rounding alone.

    views: every choice of the protocol about the inputs; not the average, which comes after the logits.
    torch: its version; another one may round differently, and so may another kind of device.
    """

    checkpoint_sha256: str
    data_sha256: str
    views: Mapping[str, Any]
    precision: str
    device_type: str
    torch: str
    format: int = FORMAT

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


class LogitsCache:
    """A directory of safetensors files, one a key.

    A damaged entry counts as none; a full disk is a warning.
    """

    def __init__(self, directory: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.directory = directory
        self.max_bytes = max_bytes

    def get(self, key: CacheKey, shape: tuple[int, int, int]) -> tuple[torch.Tensor, dict[str, Any]] | None:
        """(logits float32 (N, V, K), what was noted with them), or None."""
        path = self._path(key)
        try:
            with safe_open(path, framework="pt") as file:
                logits_NVK = file.get_tensor("logits")
                notes = json.loads((file.metadata() or {})["notes"])
            os.utime(path)  # the entries longest unused go first
        # Whatever is wrong with an entry, the answer is to compute it again.
        except Exception:
            return None
        fits = logits_NVK.shape == shape and logits_NVK.dtype == torch.float32 and isinstance(notes, dict)
        return (logits_NVK, notes) if fits else None

    def put(self, key: CacheKey, logits_NVK: torch.Tensor, notes: Mapping[str, Any]) -> None:
        """Keep them, and drop the entries longest unused where all together are too large."""
        data = save({"logits": logits_NVK.contiguous()}, {"notes": json.dumps(notes)})
        if len(data) > self.max_bytes:
            _log.info(
                "logits of %.1f GB are not kept: the cache holds %.1f GB",
                len(data) / 1e9,
                self.max_bytes / 1e9,
            )
            return
        try:
            self._make_room(len(data))
            write_atomically(self._path(key), data)
        except (CheckpointError, OSError) as error:
            _log.warning("the logits are not kept for the next time: %s", error)

    def _path(self, key: CacheKey) -> Path:
        return self.directory / f"{key.digest}.safetensors"

    def _make_room(self, size: int) -> None:
        if not self.directory.is_dir():
            return
        entries = []
        for path in self.directory.glob("*.safetensors"):
            try:
                entries.append((path.stat().st_mtime, path.stat().st_size, path))
            except FileNotFoundError:  # another process drops entries too
                continue
        total = size + sum(entry_size for _, entry_size, _ in entries)
        for _, entry_size, path in sorted(entries):
            if total <= self.max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= entry_size
