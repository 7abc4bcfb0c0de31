"""Photographs packed into one file for each split: their bytes one after the other, and a table of places.

``packed.json`` names the splits and classes; ``SPLIT.images`` has the bytes; ``SPLIT.safetensors`` the table:
``starts`` and ``lengths`` int64 (N,) in bytes, ``labels`` int64 (N,), ``names`` uint8, joined by line ends,
or by zeros where a name has a line end in it; and ``crc32`` int64 (N,) of each image's bytes, which older
packs lack. Its metadata says which, and whether the images were turned upright. They are JPEGs, but for those
too long to be one. What is read is held against these sums; index and table have a hash of their own.
A file system serves one large file faster than a million small ones, and a smaller picture decodes faster.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Self

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save

from rescli import __version__
from rescli.data.photos.decoding import decode_rgb
from rescli.data.photos.image_files import ImageFiles
from rescli.data.photos.pack_index import PACK_AGAIN
from rescli.data.photos.prefetch import map_ahead
from rescli.errors import DataError
from rescli.files import open_file, read_file, without_waiting
from rescli.plurals import counted, image_of
from rescli.stored.tensor_file import CONTENT_KEY, content_holds, content_sha256, parse_header, whole_header

__all__ = [
    "PackedImages",
    "read_packed",
    "write_packed_split",
]

_LONGEST_JPEG = 65_500
"""Pixels of a side, by libjpeg's header."""
_TABLE = ("starts", "lengths", "labels", "names")
_READ_BYTES = 1 << 22


@dataclass(frozen=True, eq=False)
class PackedImages(ImageFiles):
    """``ImageFiles`` out of one file.

    Args:
        starts_N: where each image begins, int64, in bytes of ``data``.
        lengths_N: how many bytes it has, int64.
        sums_N: their crc32, int64; None in a pack of an earlier version.
        data_sha256: hex digest of all of ``data``.
    """

    data: Path
    starts_N: torch.Tensor
    lengths_N: torch.Tensor
    sums_N: torch.Tensor | None
    data_sha256: str

    def content(self, index: int) -> bytes:
        length = int(self.lengths_N[index])
        try:
            found = os.pread(_descriptor(self.data), length, int(self.starts_N[index]))
        except OSError as error:
            raise DataError(f"{self.data} cannot be read: {error.strerror}.") from error
        if len(found) != length:
            raise DataError(f"{self.data} is damaged: it ends within {self.file_names[index]}.")
        if self.sums_N is not None and zlib.crc32(found) != int(self.sums_N[index]):
            raise DataError(
                f"{self.data} is damaged: the bytes of {self.file_names[index]} are not those that were "
                "packed.",
                hint=f"copy the file again, or {PACK_AGAIN}",
            )
        return found

    def is_whole(self) -> bool:
        """Whether all bytes of the file, read once, are those that were packed.

        Raises:
            OSError: it cannot be read.
        """
        digest = hashlib.sha256()
        with open_file(self.data) as file:
            while part := file.read(_READ_BYTES):
                digest.update(part)
        return digest.hexdigest() == self.data_sha256

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
        return replace(
            chosen,
            starts_N=self.starts_N[indices_N],
            lengths_N=self.lengths_N[indices_N],
            sums_N=None if self.sums_N is None else self.sums_N[indices_N],
        )


def read_packed(root: Path, split: str, class_names: tuple[str, ...]) -> PackedImages:
    """One split of a packed folder.

    Raises:
        DataError: files missing or damaged.
    """
    table = root / f"{split}.safetensors"
    data = root / f"{split}.images"
    try:
        content = read_file(table)
        begin, header = whole_header(content)
        holds = content_holds(header, memoryview(content)[begin:])
        if not holds and (holds is False or "crc32" in header):  # those with sums have a hash
            raise ValueError("its table is not what was written")
        metadata: dict[str, str] = header.get("__metadata__") or {}
        columns = load(content)
        starts, lengths, labels, names = (columns[name] for name in _TABLE)
        sums = columns.get("crc32")
        between = "\0" if metadata.get("names_end") == "zero" else "\n"
        file_names = tuple(names.numpy().tobytes().decode("utf-8", "surrogateescape").split(between))
        _check_columns([starts, lengths, labels, *([] if sums is None else [sums])], len(file_names))
        ends = starts + lengths
        if int(lengths.min()) < 0 or starts.tolist() != [0, *ends[:-1].tolist()]:
            raise ValueError("the places of its images have gaps between them")
        size = data.stat().st_size
        if not size == int(metadata["bytes"]) == int(ends[-1]):
            raise ValueError(f"{data.name} has {size} bytes and should have {metadata['bytes']}")
        data_sha256 = metadata["sha256"]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise DataError(f"the packed images {data} are damaged: {error}", hint=PACK_AGAIN) from error
    return PackedImages(
        root=root,
        file_names=file_names,
        labels_N=labels,
        class_names=class_names,
        fingerprint=data_sha256,
        upright=metadata.get("orientation") == "upright",
        data=data,
        starts_N=starts,
        lengths_N=lengths,
        sums_N=sums,
        data_sha256=data_sha256,
    )


def _check_columns(columns: list[torch.Tensor], count: int) -> None:
    if any(column.dtype != torch.int64 or column.shape != (count,) for column in columns):
        raise ValueError("its columns differ in length, or are no whole numbers")


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
    lengths, sums, digest = [], [], hashlib.sha256()
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
                sums.append(zlib.crc32(content))
                whole.append(index)
            progress(index + 1)
    if not whole:
        raise DataError(
            f"none of the {counted(len(files), image_of(split))} can be decoded.", page="damaged-photographs"
        )
    if len(whole) < len(files):
        files = files.subset(torch.tensor(whole))
    ends = torch.tensor(lengths, dtype=torch.int64).cumsum(0)
    split_lines = any("\n" in name for name in files.file_names)
    names = ("\0" if split_lines else "\n").join(files.file_names).encode("utf-8", "surrogateescape")
    tensors = {
        "starts": ends - torch.tensor(lengths),
        "lengths": torch.tensor(lengths),
        "labels": files.labels_N.clone(),
        "crc32": torch.tensor(sums, dtype=torch.int64),
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
    (folder / f"{split}.safetensors").write_bytes(_with_hash(tensors, metadata))
    return len(files)


def _with_hash(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """The file of the table, with the hash of its content."""
    plain = save(tensors, metadata)
    begin, header = parse_header(plain)
    sha256 = content_sha256(header, memoryview(plain)[begin:])
    return save(tensors, {**metadata, CONTENT_KEY: json.dumps(sha256)})


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
    return without_waiting(os.fspath(path), os.O_RDONLY)
