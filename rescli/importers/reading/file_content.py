"""What a file of weights holds, read by its content and not by its suffix. Nothing in it is executed."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rescli.checkpoints.checkpoint import read_tensors
from rescli.checkpoints.file_kinds import JOIN, kind_of_file
from rescli.errors import CheckpointError, UsageError
from rescli.files import read_file, require_plain_file
from rescli.foreign_text import readable
from rescli.importers.reading.pickle_calls import called_by
from rescli.importers.reading.stored_arrays import numpy_stand_ins
from rescli.plurals import counted
from rescli.remedy import Remedy

__all__ = ["SAVE_TENSORS_ONLY", "FileContent", "asks_for", "read_content"]

SAVE_TENSORS_ONLY = (
    "in the program that made it, save the tensors alone: torch.save(model.state_dict(), 'weights.pth')"
)

_FETCH_AGAIN = "fetch or copy the file again, and compare its size with the original's"
_NAME_WEIGHTS = "name the file of weights: a state dict of PyTorch, or a .safetensors file"

_MOST_CLASSES = 256
"""Classes of other programs in one pickle, through all of which each step of its reading goes."""

_MOST_UNPACKED, _FEW_BYTES = 4, 64_000_000
"""How many times its own size an archive may have unpacked, beside a few bytes more: torch stores its tensors
as they are, and weights that somebody packed again hardly become smaller."""

_DANGEROUS = {
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
    *("bool", "dict", "float", "frozenset", "int", "list"),
    *("object", "range", "slice", "str", "tuple"),
}
"""Classes that run nothing when they are made."""

_LIKE_LISTS = {"builtins.list", "collections.deque"}
_IN_PARTS = b"ctorch.distributed.tensor\nDTensor\n"
"""By which a pickle names a class of tensors whose parts lie in several processes."""

_CONSTRUCTOR = re.compile(
    r"torch(?:\.[a-z.]+)?\.(?:[A-Za-z0-9]*Tensor|TypedStorage)|(?:builtins|__builtin__)\.bytearray"
)
"""A class that makes tensors, or zeros, of any size out of a number alone. torch takes a call of it for safe;
tensors that were saved are put together by functions instead, from what the file holds."""

_PART = re.compile(r"-\d{5}-of-(?!00001)\d{5}\.")
"""In the names of the files that the weights of one net are spread over."""

_JOIN_PICKLES = (
    "join them into one file: torch.save({name: tensor for file in FILES for name, tensor in "
    "torch.load(file, map_location='cpu', weights_only=True).items()}, 'weights.pth')"
)

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
        require_plain_file(path, CheckpointError)
        if not os.path.isdir(path):
            raise CheckpointError(f"no such file: {path}", hint="give the file of weights itself")
        inside = [file for file in sorted(path.iterdir()) if file.name.endswith(_FOLDER_SUFFIXES)]
        if parts := [file for file in inside if _PART.search(file.name)]:
            raise _one_of_parts(parts[0])
        raise CheckpointError(
            f"{path} is a directory, not a file.",
            hint=f"give the file of weights itself{': ' * bool(inside)}{', '.join(map(str, inside[:3]))}",
        )
    try:
        kind = kind_of_file(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    if _PART.search(path.name) and kind.form != "other":
        raise _one_of_parts(path)
    if kind.form == "safetensors":
        return _read_safetensors(path, kind.what)
    if kind.form == "torch":
        return _read_torch(path, kind.what)
    raise CheckpointError(f"{path} is {kind.what}.", hint=kind.advice or _NAME_WEIGHTS)


def _one_of_parts(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is one of several files over which a net's weights are spread.",
        hint=JOIN if path.suffix == ".safetensors" else _JOIN_PICKLES,
    )


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
    """An empty container that objects of the class of that whole name are made as, and the name."""
    return type("_Stand", (_ListStand if name in _LIKE_LISTS else _Stand,), {}), name


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
        data = read_file(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    with warnings.catch_warnings(), torch.serialization.safe_globals(numpy_stand_ins()):
        warnings.simplefilter("ignore")
        objects = _classes(data, path, what)
        # Options, paths and dates lie beside the weights in what training programs save. An empty stand-in
        # for each class lets the tensors be read without the class.
        try:
            with torch.serialization.safe_globals([_stand_in(name) for name in objects]):
                value = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        # What a damaged or foreign pickle raises has no end, and each means that there are no weights.
        except Exception as error:
            asked = re.search(r"GLOBAL (\S+)", str(error))
            # Where a stand-in cannot take what belongs to its object, the object is what is in the way.
            stood = objects and isinstance(error, pickle.UnpicklingError | TypeError | ValueError)
            if asked or stood:
                name = asked[1] if asked else objects[0]
                raise CheckpointError(asks_for(path, name), hint=SAVE_TENSORS_ONLY) from error
            raise CheckpointError(f"{path} is {what}.", hint=_FETCH_AGAIN) from error
    return FileContent(value, hashlib.sha256(data).hexdigest(), tuple(objects))


def _classes(data: bytes, path: Path, what: str) -> list[str]:
    """The classes of other programs that a file names, in its order, all of which may have a stand-in.

    Args:
        data: the file's bytes.
        path: of the file, for messages.
        what: the file is where it cannot be read.

    Raises:
        CheckpointError: it is damaged, or names what no stand-in may be made for.
    """
    try:
        archive = data if data.startswith(b"PK") else _legacy_as_archive(data)
        names = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(archive))
        made = sorted(filter(_CONSTRUCTOR.fullmatch, _called_in(archive)))
    except Exception as error:
        raise CheckpointError(f"{path} is {what}.", hint=_FETCH_AGAIN) from error
    if _IN_PARTS in data:  # torch takes the class for safe as soon as somebody has imported it
        raise CheckpointError(
            f"{path} holds tensors in parts, one for each process of a training (DTensor).",
            hint="gather them where they were made: torch.distributed.checkpoint.state_dict."
            "get_model_state_dict with StateDictOptions(full_state_dict=True)",
        )
    if made:
        raise CheckpointError(
            f"{path} is a pickle that makes tensors or bytes by {made[0]}, whose numbers would be no "
            "part of the file.",
            hint=SAVE_TENSORS_ONLY,
        )
    for name in sorted(names):
        if _may_run(name):
            raise CheckpointError(asks_for(path, name), hint=SAVE_TENSORS_ONLY)
    if len(names) > _MOST_CLASSES:
        raise CheckpointError(
            f"{path} is a pickle of {counted(len(names), 'class')} of other programs, more than beside "
            "weights.",
            hint=SAVE_TENSORS_ONLY,
        )
    return sorted(names, key=lambda name: data.find(f"{name.rpartition('.')[2]}\n".encode()))


def _called_in(archive: bytes) -> set[str]:
    """What is called by any pickle of an archive that torch could take for its own.

    Raises:
        zipfile.BadZipFile: an entry of the archive is not what was written, by its sum; torch looks at none.
    """
    called: set[str] = set()
    with zipfile.ZipFile(io.BytesIO(archive)) as inside:
        unpacked = sum(entry.file_size for entry in inside.infolist())
        if unpacked > _MOST_UNPACKED * len(archive) + _FEW_BYTES:
            raise zipfile.BadZipFile(f"{unpacked:,} bytes unpacked, of {len(archive):,}")
        for entry in inside.infolist():
            if not entry.CRC:  # torch can be told to write no sums
                del entry.CRC
            content = inside.read(entry)
            if entry.filename.endswith("data.pkl"):
                called |= set(called_by(content))
    return called


def _legacy_as_archive(data: bytes) -> bytes:
    """The pickle of a file from before torch.save wrote zip archives, as such an archive without storages."""
    file = io.BytesIO(data)
    for _ in range(3):  # a magic number, the version, and the sizes of the system's numbers
        _to_end_of_pickle(file)
    start = file.tell()
    _to_end_of_pickle(file)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", data[start : file.tell()])
        archive.writestr("archive/version", "3\n")
    return made.getvalue()


def _to_end_of_pickle(file: io.BytesIO) -> None:
    for _ in pickletools.genops(file):
        pass


def asks_for(path: Path, name: str) -> str:
    """The message about a pickle that wants more than tensors."""
    return (
        f"{path} is a pickle that asks for {readable(name)}, which is code or an object and no tensor; "
        "nothing in it was executed."
    )


def _may_run(name: str) -> bool:
    module, _, rest = name.partition(".")
    if module == "builtins":
        return rest not in _PLAIN_BUILTINS
    return module in _DANGEROUS or (module.startswith("_") and module != "__main__")
