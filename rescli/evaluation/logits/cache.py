"""Logits on disk, so that an ensemble, another average or a closer look costs no second inference."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import PIL
import torch
from PIL import features
from pydantic import with_config
from safetensors import safe_open
from safetensors.torch import save
from torch import nn
from typing_extensions import TypedDict

from rescli import __version__
from rescli.errors import WriteError
from rescli.evaluation.protocols import ViewChoices
from rescli.files import cache_dir, write_atomically
from rescli.stored.json_values import as_stored, parse_json
from rescli.stored.values import EXACT, Seconds

__all__ = ["CacheKey", "InferenceNotes", "LogitsCache", "code_sha256", "versions"]

_log = logging.getLogger(__name__)

FORMAT = 1
"""Raised when logits of the same key would come out differently: what was stored before is not found then."""

_DAY = 86_400.0

MAX_BYTES = 4 * 2**30
"""All entries together; ten views of ImageNet's 50,000 validation images are 2 GB."""


@with_config(EXACT)
class InferenceNotes(TypedDict):
    """How logits came about: on which device, in how many seconds."""

    device: str
    inference_seconds: Seconds


@dataclass(frozen=True)
class CacheKey:
    """What logits depend on. Two computations with one key may differ in rounding alone.

    Args:
        checkpoint_sha256: the file with the weights.
        data_sha256: the images, in their order.
        views: every choice of the protocol about the inputs; not the average, which comes after the logits.
        precision: in which the convolutions run.
        device_type: ``cpu``, ``cuda`` or ``mps``; another kind may round differently.
        versions: of the libraries that compute; another one may round differently.
        code_sha256: the net's own source, which whoever writes a net changes under the same checkpoint.
        format: of the stored file.
    """

    checkpoint_sha256: str
    data_sha256: str
    views: ViewChoices
    precision: str
    device_type: str
    versions: Mapping[str, str]
    code_sha256: str
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

    @classmethod
    def of_user(cls) -> LogitsCache | None:
        """The one in the user's cache; None, with a warning, where there is no home directory."""
        try:
            return cls(cache_dir() / "logits")
        except RuntimeError as error:
            _log.warning("no logits are kept: %s", error)
            return None

    def get(self, key: CacheKey, shape: tuple[int, int, int]) -> tuple[torch.Tensor, InferenceNotes] | None:
        """What is kept under a key.

        Args:
            key: what the logits depend on.
            shape: (N, V, K) that they must have.

        Returns:
            Logits float32 (N, V, K) and what was noted with them; None where none are kept, or damaged ones.
        """
        path = self._path(key)
        try:
            if not path.is_file():  # a pipe would be waited for
                return None
            with safe_open(path, framework="pt") as file:
                logits_NVK = file.get_tensor("logits")
                texts = file.metadata() or {}
            whole = parse_json(texts["entry_sha256"]) == _sha256(logits_NVK, texts["notes"])
            notes = as_stored(parse_json(texts["notes"]), InferenceNotes, ValueError)
        # Whatever is wrong with an entry, the answer is to compute it again.
        except Exception:
            return None
        with suppress(OSError):  # the entries longest unused go first; another user's cannot be touched
            os.utime(path)
        fits = logits_NVK.shape == shape and logits_NVK.dtype == torch.float32
        return (logits_NVK, notes) if whole and fits else None

    def put(self, key: CacheKey, logits_NVK: torch.Tensor, notes: InferenceNotes) -> None:
        """Keep logits, and drop the entries longest unused where all together are too large."""
        logits_NVK = logits_NVK.contiguous()
        noted = json.dumps(notes)
        data = save(
            {"logits": logits_NVK}, {"notes": noted, "entry_sha256": json.dumps(_sha256(logits_NVK, noted))}
        )
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
        except (WriteError, OSError) as error:
            _log.warning("the logits are not kept for the next time: %s", error)

    def _path(self, key: CacheKey) -> Path:
        return self.directory / f"{key.digest}.safetensors"

    def _make_room(self, size: int) -> None:
        if not self.directory.is_dir():
            return
        entries = []
        for path in self.directory.iterdir():
            try:
                found = path.stat()
            except FileNotFoundError:  # another process drops entries too
                continue
            if path.suffix == ".safetensors":
                entries.append((found.st_mtime, found.st_size, path))
            elif path.suffix == ".tmp" and time.time() - found.st_mtime > _DAY:
                path.unlink(missing_ok=True)  # a process that was killed while it wrote
        total = size + sum(entry_size for _, entry_size, _ in entries)
        for _, entry_size, path in sorted(entries):
            if total <= self.max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= entry_size


def versions(*, decoding: bool) -> dict[str, str]:
    """Versions of everything that computes logits.

    Args:
        decoding: whether images are decoded or resized, so that Pillow and its JPEG library count too.
    """
    found = {"rescli": __version__, "torch": torch.__version__}
    if decoding:
        jpeg = features.version_feature("libjpeg_turbo") if features.check("libjpeg_turbo") else "other"
        found |= {"pillow": PIL.__version__, "libjpeg_turbo": str(jpeg)}
    return found


def code_sha256(model: nn.Module) -> str:
    """sha256 of the source files of the model's modules, torch's own aside.

    A module without a file, such as one written in a notebook, counts by its name alone.
    """
    sources = set()
    for module_name in {type(part).__module__ for part in model.modules()}:
        if module_name.split(".")[0] == "torch":
            continue
        file = getattr(sys.modules.get(module_name), "__file__", None)
        content = Path(file).read_bytes() if file and os.path.isfile(file) else module_name.encode()
        sources.add(hashlib.sha256(content).hexdigest())
    return hashlib.sha256("".join(sorted(sources)).encode()).hexdigest()


def _sha256(logits: torch.Tensor, notes: str) -> str:
    digest = hashlib.sha256(notes.encode())
    digest.update(logits.contiguous().numpy().data)
    return digest.hexdigest()
