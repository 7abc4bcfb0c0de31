"""A file of published weights as a plain dict of tensors. Nothing in the file is executed."""

from __future__ import annotations

import hashlib
import io
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rescli.checkpoints.checkpoint import read_tensors
from rescli.errors import CheckpointError, UsageError
from rescli.remedy import Remedy

__all__ = ["TORCH_SUFFIXES", "Weights", "listed", "read_weights"]

TORCH_SUFFIXES = (".pt", ".pth", ".pyth", ".th")

_SAVE_TENSORS_ONLY = (
    "in the program that made it, save the tensors alone: torch.save(model.state_dict(), 'weights.pth')"
)
_FETCH_AGAIN = "fetch or copy the file again, and compare its size with the original's"

_WRAPPERS = ("model", "model_state", "model_state_dict", "net", "state_dict")
"""Keys under which training programs keep the state dict, beside the epoch, the optimizer and so on.
A moving average of the weights, which some keep there too, is left where it is."""

_PREFIXES = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every name."""

_MAX_DEPTH = 3
"""Wrappers in wrappers; a pickled dict may also contain itself."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Published weights.

    Args:
        tensors: the state dict under the file's names, without wrappers and prefixes, on the CPU.
        file: name of the file.
        sha256: hex digest of its bytes.
    """

    tensors: dict[str, torch.Tensor]
    file: str
    sha256: str


def read_weights(path: Path) -> Weights:
    """Read ``.pt``, ``.pth``, ``.pyth`` and ``.th`` (state dicts, also nested) or ``.safetensors``.

    Raises:
        CheckpointError: missing, damaged, of another format, with anything but tensors in its state dict,
            or a pickle that asks for more than tensors.
        UsageError: another suffix, or a checkpoint of rescli.
    """
    if not os.path.isfile(path):  # pathlib raises where a path is too long
        what = f"{path} is a directory, not a file." if os.path.isdir(path) else f"no such file: {path}"
        raise CheckpointError(what, hint="give the file of weights itself")
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        tensors, sha256 = _read_safetensors(path)
        content: object = tensors
    elif suffix in TORCH_SUFFIXES:
        content, sha256 = _read_torch(path)
    else:
        raise UsageError(
            f"{path} has the suffix {suffix!r}; weights are read from "
            f"{', '.join((*TORCH_SUFFIXES, '.safetensors'))}.",
            hint="rename it where it is one of these",
        )
    tensors = _without_prefixes(_tensors_of(_unwrapped(content, path), path))
    return Weights(tensors, path.name, sha256)


def listed(items: Sequence[str], *, limit: int = 6) -> str:
    """Sorted, and capped with the number of those left out."""
    shown = ", ".join(sorted(items)[:limit])
    return f"{shown} and {len(items) - limit} more" if len(items) > limit else shown


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Tensors and sha256 of one reading."""
    try:
        tensors, texts, sha256 = read_tensors(path)
    except CheckpointError as error:
        raise CheckpointError(f"{path} is {_kind_of_bytes(path)}.", hint=_FETCH_AGAIN) from error
    if "model" in texts and "format_version" in texts:
        raise UsageError(
            f"{path} is a checkpoint of rescli already; there is nothing to import.",
            remedy=Remedy("evaluate", path),
        )
    return tensors, sha256


def _read_torch(path: Path) -> tuple[object, str]:
    """Content and sha256 of one reading: of the bytes that were judged, whatever comes to the path later."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TorchScript archives, which are refused here anyhow
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return content, hashlib.sha256(data).hexdigest()
    # What a damaged or foreign pickle raises has no end, and each means that there are no weights.
    except Exception as error:
        if asked := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{path} is a pickle that asks for {asked[1]}, which is code or an object and no tensor; "
                "nothing in it was executed.",
                hint=_SAVE_TENSORS_ONLY,
            ) from error
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path} is a TorchScript program, not a state dict; nothing in it was executed.",
                hint=_SAVE_TENSORS_ONLY,
            ) from error
        raise CheckpointError(f"{path} is {_kind_of_bytes(path)}.", hint=_FETCH_AGAIN) from error


def _kind_of_bytes(path: Path) -> str:
    """What a file that cannot be read looks like from its first bytes."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError as error:
        return f"not readable ({error.strerror or error})"
    text = head.lstrip()
    if not head:
        return "empty"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS in place of the file (git lfs pull brings it)"
    if text.startswith((b"{", b"[")):
        return "text that looks like JSON, not weights"
    if text.startswith(b"<"):
        return "a web page or XML, not weights"
    if head.startswith(b"PK"):
        return "a zip archive that is truncated, damaged, or not PyTorch's"
    if head.startswith(b"\x80"):
        return "a pickle that is truncated, damaged, or not PyTorch's"
    if head[8:9] == b"{":
        return "a safetensors file that is truncated, damaged, or under another suffix"
    return "neither a safetensors file nor one of PyTorch"


def _unwrapped(content: object, path: Path) -> Mapping[Any, Any]:
    """The innermost dict under ``_WRAPPERS``."""
    for _ in range(_MAX_DEPTH):
        if not isinstance(content, Mapping):
            raise CheckpointError(
                f"{path} holds a {type(content).__name__}, not a state dict (names to tensors).",
                hint=_SAVE_TENSORS_ONLY,
            )
        inner = [key for key in _WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner:
            return content
        if len(inner) > 1:
            raise CheckpointError(
                f"{path} holds several state dicts, under {' and '.join(map(repr, inner))}.",
                hint="save the one you mean: torch.save(content['state_dict'], 'weights.pth')",
            )
        content = content[inner[0]]
    raise CheckpointError(
        f"{path} holds dicts in dicts, more than {_MAX_DEPTH} deep.", hint=_SAVE_TENSORS_ONLY
    )


def _tensors_of(entries: Mapping[Any, Any], path: Path) -> dict[str, torch.Tensor]:
    others = [
        f"{key} ({type(value).__name__})" for key, value in entries.items() if not _is_plain(key, value)
    ]
    if len(others) == len(entries):
        found = f"only {listed(others)}" if others else "an empty dict"
        raise CheckpointError(f"{path} holds no tensors: {found}.", hint=_SAVE_TENSORS_ONLY)
    if others:
        raise CheckpointError(
            f"{path} holds, among tensors, {len(others)} that are none: {listed(others)}.",
            hint=_SAVE_TENSORS_ONLY,
        )
    return {name: tensor.detach() for name, tensor in entries.items()}


def _is_plain(name: object, value: object) -> bool:
    """A named dense tensor with values, not a sparse, quantized or meta one."""
    return (
        isinstance(name, str)
        and isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not value.is_quantized
        and value.device.type == "cpu"
    )


def _without_prefixes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Taken off only where every name has them, so that no two names can become one."""
    while prefix := next((p for p in _PREFIXES if all(name.startswith(p) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
