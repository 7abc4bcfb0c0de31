"""Photographs packed into one file for each split: their bytes one after the other, and a table of places.

``packed.json`` names the splits and classes; ``SPLIT.images`` has the bytes; ``SPLIT.safetensors`` the table:
``starts`` and ``lengths`` int64 (N,) in bytes, ``labels`` int64 (N,), ``names`` uint8, joined by line ends,
or by zeros where a name has a line end in it. Its metadata says which, and whether the images were turned
upright. They are JPEGs, but for those too long to be one.
A file system serves one large file faster than a million small ones, and a smaller picture decodes faster.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Self

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from rescli import __version__
from rescli.data.photos.decoding import decode_rgb
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.prefetch import map_ahead
from rescli.errors import DataError
from rescli.files import read_file
from rescli.plurals import counted, image_of

__all__ = [
    "INDEX",
    "PackedImages",
    "is_packed",
    "packed_counts",
    "read_packed",
    "write_index",
    "write_packed_split",
]

INDEX = "packed.json"
_FORMAT = 1
_MOST_INDEX = 64 << 20
_LONGEST_JPEG = 65_500
"""Pixels of a side, by libjpeg's header."""
_TABLE = ("starts", "lengths", "labels", "names")


@dataclass(frozen=True, eq=False)
class PackedImages(ImageFiles):
    """``ImageFiles`` out of one file.

    Args:
        starts_N: where each image begins, int64, in bytes of ``data``.
        lengths_N: how many bytes it has, int64.
    """

    data: Path
    starts_N: torch.Tensor
    lengths_N: torch.Tensor

    def content(self, index: int) -> bytes:
        length = int(self.lengths_N[index])
        try:
            found = os.pread(_descriptor(self.data), length, int(self.starts_N[index]))
        except OSError as error:
            raise DataError(f"{self.data} cannot be read: {error.strerror}.") from error
        if len(found) != length:
            raise DataError(f"{self.data} is damaged: it ends within {self.file_names[index]}.")
        return found

    def turns(self, index: int) -> bool:
        return False  # they were turned when they were packed

    def image(self, index: int) -> Image.Image:
        return decode_rgb(io.BytesIO(self.content(index)), f"{self.data}: {self.file_names[index]}")

    def oriented(self, *, upright: bool) -> Self:
        if upright != self.upright:
            wanted, packed = ("upright", "stored") if upright else ("stored", "upright")
            raise DataError(
                f"{self.data} was packed with orientation {packed!r}, and {wanted!r} is asked for.",
                hint=f"a run on these images sets data.dataset.orientation to {packed!r}; or pack the "
                f"photographs again, {wanted}",
            )
        return self

    def stored_mode(self, index: int) -> str:
        return self.image(index).mode

    def subset(self, indices_N: torch.Tensor) -> Self:
        chosen = super().subset(indices_N)
        return replace(chosen, starts_N=self.starts_N[indices_N], lengths_N=self.lengths_N[indices_N])


def is_packed(root: Path) -> bool:
    return (root / INDEX).is_file()


def packed_counts(root: Path) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes, and how many images each split has.

    Raises:
        DataError: the index is damaged.
    """
    try:
        index = json.loads(read_file(root / INDEX, most=_MOST_INDEX).decode("utf-8"))
        if index["format"] != _FORMAT:
            raise DataError(f"{root / INDEX} has format {index['format']}; this rescli reads {_FORMAT}.")
        return tuple(index["class_names"]), {split: int(count) for split, count in index["splits"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{root / INDEX} is damaged: {error}", hint="pack the photographs again") from error


def read_packed(root: Path, split: str, class_names: tuple[str, ...]) -> PackedImages:
    """One split of a packed folder.

    Raises:
        DataError: files missing or damaged.
    """
    table = root / f"{split}.safetensors"
    data = root / f"{split}.images"
    try:
        with safe_open(table, "pt") as file:
            starts, lengths, labels, names = (file.get_tensor(name) for name in _TABLE)
            metadata = file.metadata()
        size = data.stat().st_size
        between = "\0" if metadata.get("names_end") == "zero" else "\n"
        file_names = tuple(names.numpy().tobytes().decode("utf-8", "surrogateescape").split(between))
        if not len(starts) == len(lengths) == len(labels) == len(file_names):
            raise ValueError("its columns differ in length")
        if size != int(metadata["bytes"]):
            raise ValueError(f"{data.name} has {size} bytes and should have {metadata['bytes']}")
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise DataError(
            f"the packed images {data} are damaged: {error}", hint="pack the photographs again"
        ) from error
    return PackedImages(
        root=root,
        file_names=file_names,
        labels_N=labels,
        class_names=class_names,
        fingerprint=metadata["sha256"],
        upright=metadata.get("orientation") == "upright",
        data=data,
        starts_N=starts,
        lengths_N=lengths,
    )


def write_packed_split(
    files: ImageFiles,
    folder: Path,
    split: str,
    *,
    short_side: int,
    quality: int,
    threads: int,
    skipped: dict[str, str] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the two files of a split.

    An RGB JPEG whose shorter side is ``short_side`` or less is copied byte for byte, unless it has to be
    turned; other images are reduced (never enlarged) and written with ``quality``.

    Args:
        skipped: gets name and reason of each damaged image, which is left out; None for an error instead.

    Returns:
        How many images were written.

    Raises:
        DataError: an image is damaged, or all are.
    """
    lengths, digest = [], hashlib.sha256()
    whole = []

    def packed(index: int) -> bytes | DataError:
        try:
            return _packed(files, index, short_side, quality)
        except DataError as error:
            if skipped is None:
                raise
            return error

    with open(folder / f"{split}.images", "wb") as out:
        for index, content in enumerate(map_ahead(packed, range(len(files)), threads=threads)):
            if isinstance(content, DataError):
                assert skipped is not None, "else it was raised"
                skipped[files.file_names[index]] = str(content)
            else:
                out.write(content)
                digest.update(content)
                lengths.append(len(content))
                whole.append(index)
            progress(index + 1)
    if not whole:
        raise DataError(f"none of the {counted(len(files), image_of(split))} can be decoded.")
    if len(whole) < len(files):
        files = files.subset(torch.tensor(whole))
    ends = torch.tensor(lengths, dtype=torch.int64).cumsum(0)
    split_lines = any("\n" in name for name in files.file_names)
    names = ("\0" if split_lines else "\n").join(files.file_names).encode("utf-8", "surrogateescape")
    tensors = {
        "starts": ends - torch.tensor(lengths),
        "lengths": torch.tensor(lengths),
        "labels": files.labels_N.clone(),
        "names": torch.frombuffer(bytearray(names), dtype=torch.uint8),
    }
    metadata = {
        "bytes": str(sum(lengths)),
        "sha256": digest.hexdigest(),
        "made_from": files.fingerprint,
        "made_by": f"rescli {__version__}, shorter side {short_side}, quality {quality}",
        "orientation": "upright" if files.upright else "stored",
        **({"names_end": "zero"} if split_lines else {}),
    }
    # Written by Python: the library would answer a full disk with an error of its own.
    (folder / f"{split}.safetensors").write_bytes(save(tensors, metadata=metadata))
    return len(files)


def write_index(folder: Path, class_names: tuple[str, ...], counts: dict[str, int]) -> None:
    """packed.json, last: where it stands, all of it stands."""
    index = {"format": _FORMAT, "splits": counts, "class_names": list(class_names)}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _packed(files: ImageFiles, index: int, short_side: int, quality: int) -> bytes:
    image = files.image(index)
    width, height = image.size
    if min(width, height) <= short_side:
        content = files.content(index)
        if content[:2] == b"\xff\xd8" and files.stored_mode(index) == "RGB" and not files.turns(index):
            return content
    else:
        scale = short_side / min(width, height)
        image = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    written = io.BytesIO()
    if max(image.size) > _LONGEST_JPEG:
        image.save(written, "PNG")
    else:
        image.save(written, "JPEG", quality=quality)
    return written.getvalue()


@cache
def _descriptor(path: Path) -> int:
    """The open file, kept open: workers read at places of their own (pread), so one serves them all."""
    return os.open(path, os.O_RDONLY)
