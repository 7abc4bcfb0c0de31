"""What a file is, judged by its content alone. Nothing in it is executed, and torch is not imported."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rescli.files import open_file
from rescli.plurals import counted
from rescli.stored.tensor_file import MOST_HEADER, read_header_texts

__all__ = ["JOIN", "FileKind", "foreign_tensors", "kind_of_file"]

JOIN = (
    "join them into one file: safetensors.torch.save_file({name: tensor for file in FILES for name, "
    "tensor in safetensors.torch.load_file(file).items()}, 'weights.safetensors')"
)
"""What to do with weights that lie in several files."""

_HEAD_BYTES = 512
_MOST_MEMBERS = 100_000
_LEGACY_MAGIC = b"l\xfc\x9cF\xf9 j\xa8P\x19"
"""The number at the head of what torch.save wrote before it wrote zip archives."""

_AGAIN = "fetch or copy the file again, and compare its size with the original's"
_UNPACK = "unpack it, and name the file of weights in it"

_MAGICS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a pointer of Git LFS in place of the file", "git lfs pull brings the file"),
    (b"\xff\xd8\xff", "a JPEG image", ""),
    (b"\x89PNG", "a PNG image", ""),
    (b"GIF8", "a GIF image", ""),
    (b"RIFF", "a RIFF file, such as a WebP image", ""),
    (b"BM", "a BMP image", ""),
    (b"%PDF", "a PDF document", ""),
    (b"\x89HDF", "an HDF5 file, as Keras writes its weights", "weights of PyTorch can be imported"),
    (b"\x93NUMPY", "a single array of NumPy", "save all tensors by their names with torch.save"),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ", "an xz archive", _UNPACK),
    (b"7z\xbc\xaf", "a 7-zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x7fELF", "a program", ""),
)
"""First bytes, what has them, and what to do where weights could be in it."""


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Args:
        form: ``safetensors`` and ``torch`` where it has the form of weights; whether it is whole shows in
            reading it.
        what: in words, with an article.
        advice: what to do with it where weights are wanted; empty where it has none.
    """

    form: Literal["safetensors", "torch", "other"]
    what: str
    advice: str


def kind_of_file(path: str | os.PathLike[str]) -> FileKind:
    """The kind of a file, by its first bytes and, of a zip archive, by the names of its members.

    Raises:
        OSError: it cannot be read.
    """
    with open_file(path) as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return FileKind("other", "empty", _AGAIN)
    for magic, what, advice in _MAGICS:
        if head.startswith(magic):
            return FileKind("other", what, advice)
    if head.startswith(b"PK"):
        return _kind_of_zip(Path(path))
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        what = "a pickle that is truncated, damaged, or not PyTorch's"
        if _LEGACY_MAGIC in head:
            return FileKind("torch", what, _AGAIN)
        return FileKind("other", what, f"{_AGAIN}; where it is whole, save its tensors with torch.save")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MOST_HEADER:
        return FileKind("safetensors", "a safetensors file that is truncated, damaged, or not whole", _AGAIN)
    if head[257:262] == b"ustar":
        return FileKind("other", "a tar archive", _UNPACK)
    if head[:1] == b"\x08" and head[2:3] == b"\x12":
        return FileKind("other", "an ONNX model", "import the weights that it was exported from")
    return _kind_of_text(Path(path), head)


def foreign_tensors(path: str | os.PathLike[str]) -> int | None:
    """How many tensors a safetensors file holds that is no checkpoint of rescli.

    Returns:
        None where it is one, or is not whole: that shows in reading it.

    Raises:
        OSError: it cannot be read.
    """
    found = read_header_texts(path)
    return None if found is None or "model" in found[0] else found[1]


def _kind_of_zip(path: Path) -> FileKind:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    # The last is zipfile's word for archives of versions that it does not read.
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return FileKind("other", "a zip archive that is truncated, damaged, or not PyTorch's", _AGAIN)
    if len(names) > _MOST_MEMBERS:
        return FileKind(
            "other", f"a zip archive of {counted(len(names), 'file')}, more than any net has tensors", ""
        )
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return FileKind(
            "other",
            "a TorchScript program, not a state dict",
            f"where you trust it: torch.save(torch.jit.load({str(path)!r}).state_dict(), 'weights.pth')",
        )
    if "data.pkl" in inner or "data.pkl" in names:
        return FileKind("torch", "a zip archive that is truncated, damaged, or not PyTorch's", _AGAIN)
    if inner & {"archive_format", "archive_version"} or "serialized_exported_program.json" in names:
        return FileKind(
            "other",
            "a program of torch.export, not a state dict",
            f"in Python: torch.save(torch.export.load({str(path)!r}).state_dict, 'weights.pth')",
        )
    if names and all(name.endswith(".npy") for name in names):
        return FileKind(
            "other",
            "an archive of NumPy arrays",
            f"in Python: torch.save({{name: torch.from_numpy(array) for name, array in "
            f"numpy.load({str(path)!r}).items()}}, 'weights.pth')",
        )
    return FileKind("other", "a zip archive, but not PyTorch's", _UNPACK)


def _kind_of_text(path: Path, head: bytes) -> FileKind:
    try:  # the last letter may be cut
        text = codecs.getincrementaldecoder("utf-8")().decode(head).lstrip()
    except UnicodeDecodeError:
        text = ""
    if not text or not all(letter.isprintable() or letter.isspace() for letter in text):
        return FileKind("other", "neither a safetensors file nor one of PyTorch", _AGAIN)
    if text.startswith("<"):
        return FileKind(
            "other",
            "a web page or XML, not weights",
            "fetch the file again: a server sends a page where it wants a login or has no such file",
        )
    if not text.startswith(("{", "[")):
        return FileKind("other", "a text file, not weights", "")
    with open_file(path) as file:
        is_index = b'"weight_map"' in file.read(MOST_HEADER)
    if not is_index:
        return FileKind("other", "text that looks like JSON, not weights", "")
    return FileKind(
        "other",
        "the index of weights that lie in several files, not weights",
        JOIN,
    )
