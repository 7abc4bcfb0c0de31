"""What a file of weights holds, read by its content and not by its suffix. Nothing in it is executed."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rescli.checkpoints.checkpoint import read_tensors
from rescli.checkpoints.file_kinds import kind_of_file
from rescli.errors import CheckpointError, UsageError
from rescli.remedy import Remedy

__all__ = ["SAVE_TENSORS_ONLY", "FileContent", "asks_for", "read_content"]

SAVE_TENSORS_ONLY = (
    "in the program that made it, save the tensors alone: torch.save(model.state_dict(), 'weights.pth')"
)

_FETCH_AGAIN = "fetch or copy the file again, and compare its size with the original's"

_NAME_WEIGHTS = "name the file of weights: a state dict of PyTorch, or a .safetensors file"

_MOST_CLASSES = 64
"""Classes of other programs in one pickle, each of which costs another reading."""

_DANGEROUS = {
    "builtins",
    "importlib",
    "nt",
    "os",
    "posix",
    "pty",
    "runpy",
    "shutil",
    "socket",
    "subprocess",
    "sys",
    "webbrowser",
}
"""Modules whose names in a pickle mean that it wants to run something: such a file is refused, though nothing
of it would be executed."""

_PLAIN_BUILTINS = {
    "bool",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "range",
    "slice",
    "str",
    "tuple",
}
"""Classes that run nothing when they are made."""

_LIKE_LISTS = {"collections.deque", "list"}

_FOLDER_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".ckpt", ".tar", ".th", ".pyth")


@dataclass(frozen=True, eq=False)
class FileContent:
    """A file's content.

    Args:
        value: tensors on the CPU, in the dicts that they came in.
        sha256: hex digest of the file's bytes.
        objects: names of the classes whose objects were in it; dicts without content stand in their place.
    """

    value: object
    sha256: str
    objects: tuple[str, ...] = ()


def read_content(path: Path) -> FileContent:
    """Read a file of PyTorch, zipped or legacy, or a safetensors file, whatever its name.

    Raises:
        CheckpointError: missing, damaged, of another kind, or a pickle that wants to run something.
        UsageError: a checkpoint of rescli.
    """
    if not os.path.isfile(path):  # pathlib raises where a path is too long
        if not os.path.isdir(path):
            raise CheckpointError(f"no such file: {path}", hint="give the file of weights itself")
        inside = [file for file in sorted(path.iterdir()) if file.name.endswith(_FOLDER_SUFFIXES)]
        raise CheckpointError(
            f"{path} is a directory, not a file.",
            hint=f"give the file of weights itself{': ' * bool(inside)}{', '.join(map(str, inside[:3]))}",
        )
    try:
        kind = kind_of_file(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    if kind.form == "safetensors":
        return _read_safetensors(path, kind.what)
    if kind.form == "torch":
        return _read_torch(path, kind.what)
    raise CheckpointError(f"{path} is {kind.what}.", hint=kind.advice or _NAME_WEIGHTS)


def _read_safetensors(path: Path, what: str) -> FileContent:
    try:
        tensors, texts, sha256 = read_tensors(path)
    except CheckpointError as error:
        raise CheckpointError(f"{path} is {what}.", hint=_FETCH_AGAIN) from error
    if "model" in texts and "format_version" in texts:
        raise UsageError(
            f"{path} is a checkpoint of rescli already; there is nothing to import.",
            remedy=Remedy("evaluate", path),
        )
    return FileContent(tensors, sha256)


def _stand_in(name: str) -> tuple[Callable[..., Any], str]:
    """An empty container that objects of the class of that name are made as, and its whole name."""
    kind = type("_Stand", (_ListStand if name in _LIKE_LISTS else _Stand,), {})
    return kind, name if "." in name else f"builtins.{name}"


class _ListStand(list[Any]):
    """An empty list in the place of such an object, to which things are appended."""

    def __new__(cls, *_: object, **__: object) -> list[Any]:  # type: ignore[misc]
        return []


class _Stand(OrderedDict[str, Any]):
    """An empty dict in the place of an object of another program's class, none of whose code is run."""

    def __new__(cls, *_: object, **__: object) -> OrderedDict[str, Any]:  # type: ignore[misc]
        return OrderedDict()


def _read_torch(path: Path, what: str) -> FileContent:
    """Content of one reading: of the bytes that were judged, whatever comes to the path later."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    objects: list[str] = []
    while True:
        # Options, paths and dates lie beside the weights in what training programs save. An empty stand-in
        # for each class lets the tensors be read without the class.
        stands = [_stand_in(name) for name in objects]
        try:
            with warnings.catch_warnings(), torch.serialization.safe_globals([*_numpy_globals(), *stands]):
                warnings.simplefilter("ignore")
                value = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            return FileContent(value, hashlib.sha256(data).hexdigest(), tuple(objects))
        # What a damaged or foreign pickle raises has no end, and each means that there are no weights.
        except Exception as error:
            asked = re.search(r"GLOBAL (\S+)", str(error))
            if "DTensor" in str(error):
                raise CheckpointError(
                    f"{path} holds tensors in parts, one for each process of a training (DTensor).",
                    hint="gather them where they were made: torch.distributed.checkpoint.state_dict."
                    "get_model_state_dict with StateDictOptions(full_state_dict=True)",
                ) from error
            # Where a stand-in cannot take what belongs to its object, the object is what is in the way.
            stood = objects and isinstance(error, pickle.UnpicklingError | TypeError | ValueError)
            if asked is None and not stood:
                raise CheckpointError(f"{path} is {what}.", hint=_FETCH_AGAIN) from error
            name = asked[1] if asked else objects[-1]
            if asked is None or name in objects or len(objects) == _MOST_CLASSES or _may_run(name):
                raise CheckpointError(asks_for(path, name), hint=SAVE_TENSORS_ONLY) from error
            objects.append(name)


def asks_for(path: Path, name: str) -> str:
    """The message about a pickle that wants more than tensors."""
    return (
        f"{path} is a pickle that asks for {name}, which is code or an object and no tensor; nothing in it "
        "was executed."
    )


def _may_run(name: str) -> bool:
    module, dot, _ = name.partition(".")
    if not dot:  # of builtins, whose name torch leaves out
        return name not in _PLAIN_BUILTINS
    return module in _DANGEROUS or (module.startswith("_") and module != "__main__")


def _numpy_globals() -> list[tuple[Callable[..., Any], str]]:
    """What arrays and numbers of NumPy are made with; they hold data alone."""
    array: Any = np.empty(0).__reduce__()[0]
    scalar: Any = np.float64(0).__reduce__()[0]
    found: list[tuple[Callable[..., Any], str]] = [(np.ndarray, "numpy.ndarray"), (np.dtype, "numpy.dtype")]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        found += [(array, f"{module}._reconstruct"), (scalar, f"{module}.scalar")]
    plain = [np.dtype(letter) for letter in "?bBhHiIlLqQefd"]
    return found + [(type(one), f"numpy.dtypes.{type(one).__name__}") for one in plain]
